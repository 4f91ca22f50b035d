# SPDX-License-Identifier: Apache-2.0
"""Security groups and their rules. A new group lets everything out and nothing in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from agent.controller.context import Controller
from agent.controller.flow.lookup import added, named, unused
from agent.controller.flow.network import users_of, wake_group
from agent.controller.records.network import Group, GroupRule, GroupSpec
from agent.controller.refusal import BadParameter, InUse, Missing, TooMany
from agent.controller.store.database import Transaction
from agent.model.network import Direction, SecurityRule
from agent.program.log import Logger

DEFAULT = "default"
"""Made by the migrations. Everything out, and in from the group itself."""
MOST_GROUPS = 100
MOST_RULES = 50
VERSIONS: tuple[Literal[4, 6], ...] = (4, 6)

log = Logger("controller")


def create_group(controller: Controller, spec: GroupSpec) -> Group:
    """Raises `NameTaken`, `TooMany`."""
    group = Group(id=str(uuid4()), name=spec.name, project=controller.project, created_at=controller.clock.now())
    with controller.write() as tx:
        if tx.groups.count(project=controller.project) >= MOST_GROUPS:
            raise TooMany(f"creating security group {spec.name}", f"there are {MOST_GROUPS}")
        added(tx.groups, group, "security group", group.name)
        for version in VERSIONS:
            _add(controller, tx, group, SecurityRule(direction=Direction.OUT, version=version))
        return group


def delete_group(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        group = _named(tx, key, "deleting a security group")
        doing = f"deleting security group {group.name}"
        if group.id == DEFAULT:
            raise InUse(doing, "servers are in it unless another one is named")
        unused(sum(1 for _ in users_of(tx, group.id)), "security group", group.name)
        referring = {entry.group_id for entry in tx.rules.all() if entry.rule.remote_group == group.id} - {group.id}
        if referring:
            raise InUse(doing, f"rules of {len(referring)} other groups refer to it")
        tx.rules.remove(group_id=group.id)
        tx.groups.remove(id=group.id)


def add_rule(controller: Controller, key: str, rule: SecurityRule) -> GroupRule:
    """Every server in the group is told. Raises `Missing`, `BadParameter`, `TooMany`."""
    with controller.write() as tx:
        group = _named(tx, key, "adding a rule")
        doing = f"adding a rule to {group.name}"
        if rule.remote_group is not None:
            remote = named(tx.groups, rule.remote_group, doing, BadParameter, "remote_group")
            rule = rule.model_copy(update={"remote_group": remote.id})
        rules = tx.rules.all(group_id=group.id)
        if any(entry.rule == rule for entry in rules):
            raise BadParameter(doing, "rule: the group has the same one already")
        if len(rules) >= MOST_RULES:
            raise TooMany(doing, f"it has {MOST_RULES} rules")
        wake_group(tx, group.id)
        return _add(controller, tx, group, rule)


def remove_rule(controller: Controller, key: str, rule_id: str) -> None:
    """Every server in the group is told. Raises `Missing`."""
    with controller.write() as tx:
        group = _named(tx, key, "removing a rule")
        if not tx.rules.remove(group_id=group.id, id=rule_id):
            raise Missing("removing a rule", f"there is no rule {rule_id} in {group.name}")
        log.info("security rule removed", group=group.name, rule=rule_id)
        wake_group(tx, group.id)


def ids_of(tx: Transaction, keys: Sequence[str] | None, doing: str) -> tuple[str, ...]:
    """Groups by name or id; left out, it is the default one. Raises `BadParameter`."""
    if keys is None:
        return (DEFAULT,)
    return tuple(sorted({named(tx.groups, key, doing, BadParameter, "security group").id for key in keys}))


def _named(tx: Transaction, key: str, doing: str) -> Group:
    return named(tx.groups, key, doing, Missing, "security group", to_change=True)


def _add(controller: Controller, tx: Transaction, group: Group, rule: SecurityRule) -> GroupRule:
    entry = GroupRule(id=str(uuid4()), group_id=group.id, rule=rule, created_at=controller.clock.now())
    log.info("security rule added", group=group.name, rule=entry.id)
    return tx.rules.add(entry)
