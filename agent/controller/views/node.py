# SPDX-License-Identifier: Apache-2.0
"""A node as the operator sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agent.controller.flow import sessions
from agent.controller.records.catalogue import Flavor
from agent.controller.records.node import AgentSession, Boot, Node, NodeState
from agent.controller.rules.root_device import held
from agent.controller.store.database import Transaction
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.flavor import compared
from agent.model.frozen import Frozen
from agent.model.inventory import Inventory
from agent.model.job import Progress
from agent.model.network import NetworkState
from agent.model.protocol import Mode

HostStatus = Literal["UP", "UNKNOWN", "DOWN", "MAINTENANCE"]
UNKNOWN_AFTER_S = 90.0
DOWN_AFTER_S = 180.0
"""Three missed minutes: the cloud's rule."""


class NodeView(Frozen):
    """A line of the list."""

    id: str
    name: str
    state: NodeState
    host_status: HostStatus
    maintenance: bool
    revoked: bool
    fingerprint: str | None
    rack: str | None
    clean: bool
    power: str
    mode: Mode | None
    boot_mac: str
    boot_target: str
    server_id: str | None
    server_name: str | None
    job_id: str | None
    heartbeat_at: datetime | None
    fault: Fault | None
    created: datetime
    updated: datetime


class NodeDetail(NodeView):
    """Everything about one."""

    identity: str
    bmc: str | None
    generation: int
    applied_generation: int
    agent_version: str | None
    boot_id: str | None
    boot: Boot | None
    attested: bool
    network: NetworkState | None
    progress: Progress | None
    problems: tuple[Fault, ...]
    held: tuple[str, ...]
    flavors: tuple[str, ...]
    inventory: Inventory | None
    inventory_at: datetime | None
    os_inventory: Inventory | None
    os_inventory_at: datetime | None


def host_status(node: Node, session: AgentSession | None, now: datetime) -> HostStatus:
    """By the age of the last heartbeat. A ramdisk's silence says nothing about the OS that came after it."""
    if node.maintenance:
        return "MAINTENANCE"
    if session is None or (session.mode == "ramdisk" and node.state is NodeState.ACTIVE):
        return "UNKNOWN"
    age_s = (now - (session.heartbeat_at or session.opened_at)).total_seconds()
    return "UP" if age_s < UNKNOWN_AFTER_S else "UNKNOWN" if age_s < DOWN_AFTER_S else "DOWN"


def node_view(tx: Transaction, node: Node, now: datetime) -> NodeView:
    """A line of the list."""
    session = sessions.current(tx, node)
    server = tx.servers.get(node.server_id) if node.server_id else None
    return NodeView(
        id=node.id,
        name=node.name,
        state=node.state,
        host_status=host_status(node, session, now),
        maintenance=node.maintenance,
        revoked=node.revoked,
        fingerprint=node.fingerprint,
        rack=node.rack,
        clean=node.clean,
        power=node.power.value,
        mode=session.mode if session else None,
        boot_mac=node.boot_mac,
        boot_target=node.boot_target.value,
        server_id=node.server_id,
        server_name=server.name if server else None,
        job_id=node.job_id,
        heartbeat_at=session.heartbeat_at if session else None,
        fault=node.fault,
        created=node.created_at,
        updated=node.updated_at,
    )


def node_detail(tx: Transaction, node: Node, now: datetime) -> NodeDetail:
    """Everything about it, but its BMC's password."""
    session = sessions.current(tx, node)
    entry, by_os = tx.inventories.get(node.id), tx.os_inventories.get(node.id)
    disks = entry.inventory.disks if entry else ()
    return NodeDetail(
        **dict(node_view(tx, node, now)),
        identity=node.identity,
        bmc=node.bmc.address if node.bmc else None,
        generation=node.generation,
        applied_generation=session.applied_generation if session else 0,
        agent_version=session.agent_version if session else None,
        boot_id=session.boot_id if session else None,
        boot=session.boot if session and session.mode == "ramdisk" else None,
        attested=_attested(tx, node),
        network=session.network if session else None,
        progress=session.progress if session else None,
        problems=session.problems if session else (),
        held=() if node.clean or isinstance(disks, Unknown) else held(disks),
        flavors=fitting(entry.inventory, tx.flavors.all()) if entry else (),
        inventory=entry.inventory if entry else None,
        inventory_at=entry.taken_at if entry else None,
        os_inventory=by_os.inventory if by_os else None,
        os_inventory_at=by_os.taken_at if by_os else None,
    )


def _attested(tx: Transaction, node: Node) -> bool:
    """Whether it is known who said that it was last erased."""
    kept = max(tx.certificates.all(node_id=node.id), key=lambda one: one.received_at, default=None)
    return kept is not None and kept.boot is Boot.ATTESTED


def fitting(inventory: Inventory, flavors: tuple[Flavor, ...]) -> tuple[str, ...]:
    """Names of the flavors that its hardware is of."""
    return tuple(sorted(one.name for one in flavors if all(field.fits for field in compared(inventory, one))))
