# SPDX-License-Identifier: Apache-2.0
"""Erasures of a node as the operator sees them."""

from __future__ import annotations

from datetime import datetime

from agent.controller.records.erasure import KeptCertificate, QuarantinedDisk
from agent.controller.records.node import Boot, Node
from agent.controller.rules.erasure import firmware_changes, of_node
from agent.controller.store.database import Transaction
from agent.model.erasing.certificate import Certificate, SignedCertificate
from agent.model.frozen import Frozen


class ErasureView(Frozen):
    """One erasure: what the certificate says, and the certificate itself as it was signed."""

    request_id: str
    received_at: datetime
    attested_by: str | None
    boot: Boot
    attested: bool
    says: Certificate
    firmware_changed: tuple[str, ...]
    signed: SignedCertificate


class QuarantineView(QuarantinedDisk):
    """A disk in quarantine, and whose word it is."""

    said_by_id: str
    said_by_name: str | None


class ErasuresView(Frozen):
    """Newest first."""

    node_id: str
    node_name: str
    quarantined: tuple[QuarantineView, ...]
    erasures: tuple[ErasureView, ...]


def erasures_view(tx: Transaction, node: Node) -> ErasuresView:
    """Of a node."""
    kept = sorted(tx.certificates.all(node_id=node.id), key=lambda one: one.received_at)
    says = [one.signed.opened() for one in kept]
    befores = [None, *says[:-1]]
    entry = tx.inventories.get(node.id)
    views = tuple(map(_view, kept, says, befores))
    apart = of_node(node.id, entry.inventory.disks if entry is not None else (), tx.quarantined.all())
    return ErasuresView(
        node_id=node.id,
        node_name=node.name,
        quarantined=tuple(_set_apart(tx, one) for one in apart),
        erasures=tuple(reversed(views)),
    )


def _set_apart(tx: Transaction, one: QuarantinedDisk) -> QuarantineView:
    by = tx.nodes.get(one.said_by)
    return QuarantineView(**dict(one), said_by_id=one.said_by, said_by_name=by.name if by is not None else None)


def _view(kept: KeptCertificate, says: Certificate, before: Certificate | None) -> ErasureView:
    return ErasureView(
        request_id=kept.request_id,
        received_at=kept.received_at,
        attested_by=f"session {kept.session_id}" if kept.session_id else None,
        boot=kept.boot,
        attested=kept.boot is Boot.ATTESTED,
        says=says,
        firmware_changed=() if before is None else firmware_changes(before, says),
        signed=kept.signed,
    )
