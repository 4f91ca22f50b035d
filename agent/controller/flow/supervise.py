# SPDX-License-Identifier: Apache-2.0
"""An operator wants something of a node: approve, clean, its BMC, maintenance."""

from __future__ import annotations

import structlog
from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow import jobs, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.lookup import named
from agent.controller.flow.publish import publish
from agent.controller.records.catalogue import Name
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.node import Bmc, BootTarget, Node
from agent.controller.refusal import BadParameter, InUse, Missing, NameTaken
from agent.controller.rules.lifecycle import NodeEvent, move_node
from agent.controller.rules.steering import Waiting
from agent.model.frozen import Frozen

log = structlog.get_logger("controller")


class NodeChange(Frozen):
    """What an operator changes; what is left out stays. A BMC of null is forgotten."""

    bmc: Bmc | None = None
    maintenance: bool | None = None
    name: Name | None = None
    generation: int | None = Field(
        default=None,
        ge=1,
        description="of the desired state: to be raised above what the agent holds, after a restored backup",
    )


def approve(controller: Controller, key: str) -> Node:
    """Take the node in. Raises `Refused`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "approving a node", Missing, "node")
        state = move_node(node.state, NodeEvent.APPROVED)
        log.info("node available", node=node.name)
        return tx.nodes.change(node, state=state, updated_at=controller.clock.now())


def clean(controller: Controller, key: str) -> Job:
    """Erase its disks. Raises `Refused`; a node with a server is cleaned by deleting that."""
    now = controller.clock.now()
    with controller.write() as tx:
        node = named(tx.nodes, key, "cleaning a node", Missing, "node")
        if node.server_id is not None:
            raise InUse(f"cleaning {node.name}", f"server {node.server_id} is on it")
        state = move_node(node.state, NodeEvent.CLEAN_ORDERED)
        node = tx.nodes.change(node, state=state, boot_target=BootTarget.RAMDISK, fault=None, updated_at=now)
        job = jobs.begin(tx, now, Operation.CLEAN, node, stage=Stage.RAMDISK, phase=Waiting.FOR_AGENT)
        tx.nodes.change(node, job_id=job.id)
        job = assign(controller, tx, job, sessions.current(tx, node))
        publish(controller, tx, node.id)
    log.info("node cleaning", node=node.name, job=job.id)
    return job


def change(controller: Controller, key: str, wanted: NodeChange) -> Node:
    """Change what is named. Raises `Refused`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "changing a node", Missing, "node")
        changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        changes = {name: value for name, value in changes.items() if value is not None or name == "bmc"}
        if changes.get("generation", node.generation) < node.generation:
            raise BadParameter(f"changing {node.name}", f"its generation is {node.generation}, and never falls")
        if "name" in changes and tx.nodes.find(name=changes["name"]) not in (None, node):
            raise NameTaken(f"changing {node.name}", f"there is a node {changes['name']} already")
        log.info("node changed", node=node.name, fields=sorted(changes))
        return tx.nodes.change(node, updated_at=controller.clock.now(), **changes)
