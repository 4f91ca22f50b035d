# SPDX-License-Identifier: Apache-2.0
"""A server as the user sees it, in the cloud's words."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agent.controller.flow import sessions
from agent.controller.records.node import Power
from agent.controller.records.server import (
    BootProofKind,
    PinnedBond,
    PinnedDisk,
    Server,
    ServerFault,
    ServerStatus,
    TaskState,
)
from agent.controller.store.database import Transaction
from agent.controller.views.job import progress_of
from agent.controller.views.nic import NicView, nic_views
from agent.controller.views.node import HostStatus, host_status
from agent.model.frozen import Frozen
from agent.model.job import Progress
from agent.model.network import DriftPolicy

POWER_STATES = {Power.UNKNOWN: 0, Power.ON: 1, Power.OFF: 4}


class ServerView(Frozen):
    """A server."""

    id: str
    name: str
    project: str | None
    status: ServerStatus
    task_state: TaskState | None
    vm_state: Literal["active", "stopped", "building", "error", "deleted"]
    power_state: int
    host_status: HostStatus
    flavor: str
    image: str
    key_name: str | None
    metadata: dict[str, str]
    node_id: str | None
    node_name: str | None
    addresses: tuple[NicView, ...]
    bond: PinnedBond | None
    drift: DriftPolicy
    root_disk: PinnedDisk
    boot_proof: BootProofKind | None
    machine_id: str | None
    job_id: str | None
    progress: Progress | None
    fault: ServerFault | None
    created: datetime
    updated: datetime
    launched_at: datetime | None
    terminated_at: datetime | None


VM_STATES: dict[ServerStatus, Literal["active", "stopped", "building", "error", "deleted"]] = {
    ServerStatus.BUILD: "building",
    ServerStatus.ACTIVE: "active",
    ServerStatus.REBOOT: "active",
    ServerStatus.HARD_REBOOT: "active",
    ServerStatus.SHUTOFF: "stopped",
    ServerStatus.ERROR: "error",
    ServerStatus.DELETED: "deleted",
}


def server_view(tx: Transaction, server: Server, now: datetime) -> ServerView:
    """As it is now."""
    node = tx.nodes.get(server.node_id) if server.node_id else None
    job = tx.jobs.get(server.job_id) if server.job_id else None
    flavor, image = tx.flavors.get(server.flavor_id), tx.images.get(server.image_id)
    return ServerView(
        id=server.id,
        name=server.name,
        project=server.project,
        status=server.status,
        task_state=server.task_state,
        vm_state=VM_STATES[server.status],
        power_state=POWER_STATES[node.power] if node else 0,
        host_status=host_status(node, sessions.current(tx, node), now) if node else "UNKNOWN",
        flavor=flavor.name if flavor else server.flavor_id,
        image=image.name if image else server.image_id,
        key_name=server.key_name,
        metadata=server.metadata,
        node_id=server.node_id,
        node_name=node.name if node else None,
        addresses=nic_views(tx, server),
        bond=server.bond,
        drift=server.drift,
        root_disk=server.disk,
        boot_proof=server.boot_proof,
        machine_id=server.machine_id,
        job_id=server.job_id,
        progress=progress_of(tx, job) if job else None,
        fault=server.fault,
        created=server.created_at,
        updated=server.updated_at,
        launched_at=server.launched_at,
        terminated_at=server.deleted_at,
    )
