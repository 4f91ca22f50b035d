# SPDX-License-Identifier: Apache-2.0
"""The user's face: security groups and their rules."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Acting
from agent.controller.flow import groups
from agent.controller.flow.lookup import named
from agent.controller.records.network import Group, GroupSpec
from agent.controller.refusal import Missing
from agent.controller.store.database import Transaction
from agent.controller.views.group import GroupView, RuleView, group_view, rule_view
from agent.model.network import SecurityRule

router = APIRouter(prefix="/v1/security-groups", tags=["security groups"])


@router.post("", status_code=201)
def post_group(spec: GroupSpec, controller: Acting) -> GroupView:
    """Create a group, whose rules let everything out and nothing in."""
    group = groups.create_group(controller, spec)
    return get_group(group.id, controller)


@router.get("")
def get_groups(controller: Acting) -> tuple[GroupView, ...]:
    """Every group."""
    with controller.read() as tx:
        return tuple(group_view(tx, group) for group in sorted(tx.groups.visible(), key=lambda group: group.name))


@router.get("/{key}")
def get_group(key: str, controller: Acting) -> GroupView:
    """One group with its rules, by id or name."""
    with controller.read() as tx:
        return group_view(tx, _named(tx, key))


@router.delete("/{key}", status_code=204)
def delete_group(key: str, controller: Acting) -> None:
    """Delete a group that no NIC is in."""
    groups.delete_group(controller, key)


@router.post("/{key}/rules", status_code=201)
def post_rule(key: str, rule: SecurityRule, controller: Acting) -> RuleView:
    """Allow something; a remote group is named by id or name."""
    entry = groups.add_rule(controller, key, rule)
    with controller.read() as tx:
        return rule_view(tx, entry)


@router.delete("/{key}/rules/{rule_id}", status_code=204)
def delete_rule(key: str, rule_id: str, controller: Acting) -> None:
    """Allow it no more."""
    groups.remove_rule(controller, key, rule_id)


def _named(tx: Transaction, key: str) -> Group:
    return named(tx.groups, key, "showing a security group", Missing, "security group")
