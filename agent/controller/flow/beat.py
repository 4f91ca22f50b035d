# SPDX-License-Identifier: Apache-2.0
"""Heartbeats and inventories: what is observed of a node."""

from __future__ import annotations

from agent.controller.context import Controller
from agent.controller.flow import attest, sessions
from agent.controller.flow.network import let_go
from agent.controller.records.node import Credential, Node, NodeInventory
from agent.controller.refusal import AgentUnauthorized
from agent.controller.store.database import Transaction
from agent.model.inventory import Inventory
from agent.model.protocol import Heartbeat, HeartbeatAnswer


def beat(controller: Controller, credential: Credential, heartbeat: Heartbeat) -> HeartbeatAnswer:
    """Keep what is observed; a heartbeat that is late, doubled or of a run that is over changes nothing."""
    now = controller.clock.now()
    with controller.write() as tx:
        node = node_of(tx, credential)
        session = sessions.speaking(tx, node, credential)
        if (
            session is None
            or session.session_id != heartbeat.session.session_id
            or heartbeat.sequence <= session.sequence
        ):
            return HeartbeatAnswer(current=False, generation=node.generation)
        tx.sessions.change(
            session,
            seen_at=now,
            heartbeat_at=now,
            sequence=heartbeat.sequence,
            applied_generation=heartbeat.applied_generation,
            network=heartbeat.network,
            progress=heartbeat.progress,
            problems=heartbeat.problems,
        )
        attest.heard(tx, now, node, session)
        if session.mode == "service" and node.server_id is not None:
            let_go(tx, node.server_id, heartbeat.applied_generation)
        return HeartbeatAnswer(current=True, generation=node.generation)


def take_inventory(controller: Controller, credential: Credential, inventory: Inventory) -> None:
    """Keep what the machine is made of. An installed OS' word is its tenant's: it is shown, and nothing goes by it."""
    with controller.write() as tx:
        node = node_of(tx, credential)
        shelf = tx.inventories if credential.mode == "ramdisk" else tx.os_inventories
        shelf.remove(node_id=node.id)
        shelf.add(NodeInventory(node_id=node.id, inventory=inventory, taken_at=controller.clock.now()))


def node_of(tx: Transaction, credential: Credential) -> Node:
    """The node that this credential speaks for, still: a call may have waited since it was judged. Raises
    `AgentUnauthorized`."""
    node = tx.nodes.get(credential.node_id)
    if node is None or node.revoked or tx.credentials.get(credential.digest) is None:
        raise AgentUnauthorized("finding the node of a credential", "it is not good any more")
    return node
