# SPDX-License-Identifier: Apache-2.0
"""The operator's face: nodes."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from agent.controller.api.auth import Acting, cloud
from agent.controller.bundles import Bundle, bundle_path, bundles
from agent.controller.context import Controller
from agent.controller.flow import erasure, strangers, supervise, validation
from agent.controller.flow.erasure import Acceptance
from agent.controller.flow.lookup import named
from agent.controller.flow.supervise import Approval, NodeChange
from agent.controller.records.validation import ValidationOrder
from agent.controller.refusal import Missing
from agent.controller.views.erasure import ErasuresView, erasures_view
from agent.controller.views.flavor import FlavorCheck, flavor_check
from agent.controller.views.job import JobView, job_view
from agent.controller.views.node import NodeDetail, NodeView, node_detail, node_view
from agent.controller.views.validation import ValidationsView, validations_view

GZIP = "application/gzip"

router = APIRouter(prefix="/v1/nodes", tags=["nodes"], dependencies=[Depends(cloud)])


@router.get("")
def get_nodes(controller: Acting) -> tuple[NodeView, ...]:
    """Every node."""
    with controller.read() as tx:
        nodes = sorted(tx.nodes.all(), key=lambda node: node.name)
        return tuple(node_view(tx, node, controller.clock.now()) for node in nodes)


@router.get("/{key}")
def get_node(key: str, controller: Acting) -> NodeDetail:
    """One node with its inventory, by id or name."""
    with controller.read() as tx:
        node = named(tx.nodes, key, "showing a node", Missing, "node")
        return node_detail(tx, node, controller.clock.now())


@router.get("/{key}/bundles")
def get_bundles(key: str, controller: Acting) -> tuple[Bundle, ...]:
    """The bundles of logs that it sent, the newest first."""
    return bundles(folder_of(controller, key))


@router.get(
    "/{key}/bundles/{name}",
    response_class=FileResponse,
    responses={200: {"content": {GZIP: {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_bundle(key: str, name: str, controller: Acting) -> FileResponse:
    """One of them: a .tar.gz."""
    path = bundle_path(folder_of(controller, key), name)
    return FileResponse(path, media_type=GZIP, filename=name, headers={"cache-control": "private, no-store"})


def folder_of(controller: Controller, key: str) -> Path:
    """Where a node's are. Raises `Missing`."""
    with controller.read() as tx:
        return controller.bundles / named(tx.nodes, key, "looking for bundles", Missing, "node").id


@router.get("/{key}/erasures")
def get_erasures(key: str, controller: Acting) -> ErasuresView:
    """What is certified of its erasures, and which of its disks are in quarantine."""
    with controller.read() as tx:
        return erasures_view(tx, named(tx.nodes, key, "showing a node's erasures", Missing, "node"))


@router.post("/{key}/quarantine")
def accept_disk(key: str, wanted: Acceptance, controller: Acting) -> ErasuresView:
    """Let the node have servers though that disk is in it, or not."""
    node = erasure.accept(controller, key, wanted)
    return get_erasures(node.id, controller)


@router.get("/{key}/flavors/{flavor}")
def get_flavor_check(key: str, flavor: str, controller: Acting) -> FlavorCheck:
    """The node held against a flavor, field by field."""
    doing = "comparing a node with a flavor"
    with controller.read() as tx:
        wanted = named(tx.flavors, flavor, doing, Missing, "flavor")
        return flavor_check(tx, named(tx.nodes, key, doing, Missing, "node"), wanted)


@router.get("/{key}/validations")
def get_validations(key: str, controller: Acting) -> ValidationsView:
    """The last validations of its hardware, what they found, and how it stands against every flavor."""
    with controller.read() as tx:
        return validations_view(tx, named(tx.nodes, key, "showing a node's validations", Missing, "node"))


@router.post("/{key}/validations", status_code=202)
def validate_node(key: str, controller: Acting, wanted: ValidationOrder | None = None) -> JobView:
    """Test the hardware of a node without a server. Its disks are only read."""
    job = validation.order(controller, key, wanted or ValidationOrder())
    with controller.read() as tx:
        return job_view(tx, job)


@router.post("/{key}/validations/cancel")
def cancel_validation(key: str, controller: Acting) -> JobView:
    """Call off the one under way."""
    job = validation.cancel(controller, key)
    with controller.read() as tx:
        return job_view(tx, job)


@router.patch("/{key}")
def patch_node(key: str, wanted: NodeChange, controller: Acting) -> NodeDetail:
    """Change its BMC, maintenance or name."""
    node = supervise.change(controller, key, wanted)
    return get_node(node.id, controller)


@router.post("/{key}/approve")
def approve_node(key: str, controller: Acting, said: Approval | None = None) -> NodeDetail:
    """Take in a node that enrolled itself, by the fingerprint on its screen."""
    node = supervise.approve(controller, key, said or Approval())
    return get_node(node.id, controller)


@router.post("/{key}/revoke")
def revoke_node(key: str, controller: Acting) -> NodeDetail:
    """Hear nothing of a node any more, until it is approved again."""
    node = supervise.revoke(controller, key)
    return get_node(node.id, controller)


@router.delete("/{key}", status_code=204)
def delete_node(key: str, controller: Acting) -> None:
    """Forget a node that never was in use."""
    strangers.delete(controller, key)


@router.post("/{key}/clean", status_code=202)
def clean_node(key: str, controller: Acting) -> JobView:
    """Erase every local disk of a node without a server."""
    job = supervise.clean(controller, key)
    with controller.read() as tx:
        return job_view(tx, job)
