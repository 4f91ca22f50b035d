# SPDX-License-Identifier: Apache-2.0
"""The operator's face: nodes."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Here
from agent.controller.flow import supervise
from agent.controller.flow.lookup import named
from agent.controller.flow.supervise import NodeChange
from agent.controller.refusal import Missing
from agent.controller.views.job import JobView, job_view
from agent.controller.views.node import NodeDetail, NodeView, node_detail, node_view

router = APIRouter(prefix="/v1/nodes", tags=["nodes"])


@router.get("")
def get_nodes(controller: Here) -> tuple[NodeView, ...]:
    """Every node."""
    with controller.read() as tx:
        nodes = sorted(tx.nodes.all(), key=lambda node: node.name)
        return tuple(node_view(tx, node, controller.clock.now()) for node in nodes)


@router.get("/{key}")
def get_node(key: str, controller: Here) -> NodeDetail:
    """One node with its inventory, by id or name."""
    with controller.read() as tx:
        node = named(tx.nodes, key, "showing a node", Missing, "node")
        return node_detail(tx, node, controller.clock.now())


@router.patch("/{key}")
def patch_node(key: str, wanted: NodeChange, controller: Here) -> NodeDetail:
    """Change its BMC, maintenance or name."""
    node = supervise.change(controller, key, wanted)
    return get_node(node.id, controller)


@router.post("/{key}/approve")
def approve_node(key: str, controller: Here) -> NodeDetail:
    """Take in a node that enrolled itself."""
    node = supervise.approve(controller, key)
    return get_node(node.id, controller)


@router.post("/{key}/clean", status_code=202)
def clean_node(key: str, controller: Here) -> JobView:
    """Erase every local disk of a node without a server."""
    job = supervise.clean(controller, key)
    with controller.read() as tx:
        return job_view(tx, job)
