# SPDX-License-Identifier: Apache-2.0
"""Validations of a node as the operator sees them, with how it stands against every flavor."""

from __future__ import annotations

from datetime import datetime

from agent.controller.records.job import JobStatus
from agent.controller.records.node import Node
from agent.controller.records.validation import Validation, ValidationOrder
from agent.controller.store.database import Transaction
from agent.controller.views.flavor import FlavorCheck, flavor_check
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.validation import Validated


class ValidationView(Frozen):
    """One: what was ordered, how its job stands, what was found."""

    job_id: str
    status: JobStatus
    order: ValidationOrder
    ordered_by: str
    ordered_at: datetime
    ended_at: datetime | None
    fault: Fault | None
    found: Validated | None


class ValidationsView(Frozen):
    """Newest first."""

    node_id: str
    node_name: str
    flavors: tuple[FlavorCheck, ...]
    validations: tuple[ValidationView, ...]


def validations_view(tx: Transaction, node: Node) -> ValidationsView:
    """Of a node; one that has told no inventory yet is held against no flavor."""
    kept = sorted(tx.validations.all(node_id=node.id), key=lambda one: one.ordered_at, reverse=True)
    flavors = sorted(tx.flavors.all(), key=lambda one: one.name) if tx.inventories.get(node.id) else []
    return ValidationsView(
        node_id=node.id,
        node_name=node.name,
        flavors=tuple(flavor_check(tx, node, one) for one in flavors),
        validations=tuple(_view(tx, one) for one in kept),
    )


def _view(tx: Transaction, kept: Validation) -> ValidationView:
    job = tx.jobs.get(kept.job_id)
    assert job is not None, "jobs are kept"
    return ValidationView(
        job_id=kept.job_id,
        status=job.status,
        order=kept.order,
        ordered_by=kept.ordered_by,
        ordered_at=kept.ordered_at,
        ended_at=job.ended_at,
        fault=job.fault,
        found=kept.found,
    )
