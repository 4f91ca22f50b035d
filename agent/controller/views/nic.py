# SPDX-License-Identifier: Apache-2.0
"""A server's NICs as its user sees them: as they shall be, and what is observed."""

from __future__ import annotations

from datetime import datetime

from agent.controller.flow import sessions
from agent.controller.flow.network import attachments_of
from agent.controller.records.node import AgentSession, Node
from agent.controller.records.server import Server
from agent.controller.rules.wiring import Attachment
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.frozen import Frozen


class NicView(Frozen):
    """A NIC and its address; `observed` is what the OS really has on it."""

    port_id: str
    primary: bool
    vpc: str
    subnet: str
    mac: str
    address: str | None
    security_groups: tuple[str, ...]
    eip: str | None
    applied: bool
    observed: tuple[str, ...]


class NicsView(Frozen):
    """All of a server's. `problems` are the agent's own words of its last heartbeat; `detaching`, addresses of NICs
    that are no more, which it has until it has applied that."""

    generation: int
    applied_generation: int
    heartbeat_at: datetime | None
    problems: tuple[Fault, ...]
    detaching: tuple[str, ...]
    nics: tuple[NicView, ...]


def nics_view(tx: Transaction, server: Server) -> NicsView:
    """As they are now."""
    node, session = speaker(tx, server)
    return NicsView(
        generation=node.generation if node else 0,
        applied_generation=session.applied_generation if session else 0,
        heartbeat_at=session.heartbeat_at if session else None,
        problems=session.problems if session else (),
        detaching=tuple(one.address for one in tx.detached.all(server_id=server.id)),
        nics=nic_views(tx, server),
    )


def nic_views(tx: Transaction, server: Server) -> tuple[NicView, ...]:
    """A line each."""
    node, session = speaker(tx, server)
    applied = node is not None and session is not None and session.applied_generation >= node.generation
    return tuple(_nic(tx, one, session, applied=applied) for one in attachments_of(tx, server))


def speaker(tx: Transaction, server: Server) -> tuple[Node | None, AgentSession | None]:
    """Its node, and the run of the agent in its OS, if there is one."""
    node = tx.nodes.get(server.node_id) if server.node_id else None
    session = sessions.current(tx, node) if node else None
    return node, session if session is not None and session.mode == "service" else None


def _nic(tx: Transaction, one: Attachment, session: AgentSession | None, *, applied: bool) -> NicView:
    network = session.network if session else None
    groups = (tx.groups.get(group) for group in one.port.security_groups)
    return NicView(
        port_id=one.port.id,
        primary=one.port.position == 0,
        vpc=one.vpc.name,
        subnet=one.subnet.name,
        mac=one.port.mac,
        address=one.port.address,
        security_groups=tuple(group.name for group in groups if group is not None),
        eip=str(one.eip.address) if one.eip else None,
        applied=applied,
        observed=tuple(str(address) for address in network.addresses_of(one.port.mac)) if network else (),
    )
