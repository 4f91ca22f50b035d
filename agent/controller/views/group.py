# SPDX-License-Identifier: Apache-2.0
"""A security group as its user sees it."""

from __future__ import annotations

from datetime import datetime

from agent.controller.flow.network import users_of
from agent.controller.records.network import Group, GroupRule
from agent.controller.store.database import Transaction
from agent.model.network import SecurityRule


class RuleView(SecurityRule):
    """A rule; its remote group by name."""

    id: str


class GroupView(Group):
    """A group, its rules, and how many NICs are in it."""

    rules: tuple[RuleView, ...]
    nics: int
    created_at: datetime


def group_view(tx: Transaction, group: Group) -> GroupView:
    """As it is now."""
    rules = sorted(tx.rules.all(group_id=group.id), key=lambda entry: (entry.created_at, entry.id))
    return GroupView(
        **dict(group),
        rules=tuple(rule_view(tx, entry) for entry in rules),
        nics=sum(1 for _ in users_of(tx, group.id)),
    )


def rule_view(tx: Transaction, entry: GroupRule) -> RuleView:
    """One rule."""
    remote = tx.groups.get(entry.rule.remote_group) if entry.rule.remote_group else None
    return RuleView(**dict(entry.rule) | {"remote_group": remote.name if remote else None}, id=entry.id)
