# SPDX-License-Identifier: Apache-2.0
"""The user's face: servers and jobs. What takes time answers 202 with a job."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from agent.controller.api.auth import Acting
from agent.controller.flow import operate, order
from agent.controller.flow.lookup import LIVING, server_named
from agent.controller.flow.operate import ServerChange
from agent.controller.flow.order import ServerOrder
from agent.controller.records.job import Job
from agent.controller.refusal import Missing
from agent.controller.views.job import JobView, job_view
from agent.controller.views.server import ServerView, server_view
from agent.model.frozen import Frozen

router = APIRouter(prefix="/v1", tags=["servers"])


class Ordered(Frozen):
    """A job was begun."""

    job_id: str
    server_id: str


class How(Frozen):
    """SOFT asks the OS; HARD tells the BMC, and the OS learns nothing of it."""

    type: Literal["SOFT", "HARD"] = "SOFT"


class Reinstall(Frozen):
    """How the image is written again."""

    verify: bool = False


@router.post("/servers", status_code=202)
def post_server(wanted: ServerOrder, controller: Acting) -> Ordered:
    """Create a server."""
    return _ordered(order.create(controller, wanted))


@router.get("/servers")
def get_servers(controller: Acting, *, deleted: bool = False) -> tuple[ServerView, ...]:
    """Every server; deleted ones if asked for."""
    with controller.read() as tx:
        servers = tx.servers.visible() if deleted else tx.servers.visible(status=LIVING)
        servers = tuple(sorted(servers, key=lambda server: server.created_at))
        return tuple(server_view(tx, server, controller.clock.now()) for server in servers)


@router.get("/servers/{key}")
def get_server(key: str, controller: Acting) -> ServerView:
    """One server, by id or, while it lives, by name."""
    with controller.read() as tx:
        server = server_named(tx, key, "showing a server")
        return server_view(tx, server, controller.clock.now())


@router.patch("/servers/{key}")
def patch_server(key: str, wanted: ServerChange, controller: Acting) -> ServerView:
    """Change what is done about network changes that nobody ordered."""
    server = operate.change(controller, key, wanted)
    return get_server(server.id, controller)


@router.post("/servers/{key}/start", status_code=202)
def start_server(key: str, controller: Acting) -> Ordered:
    """Switch it on."""
    return _ordered(operate.start(controller, key))


@router.post("/servers/{key}/stop", status_code=202)
def stop_server(key: str, controller: Acting, how: How | None = None) -> Ordered:
    """Switch it off."""
    return _ordered(operate.stop(controller, key, hard=how is not None and how.type == "HARD"))


@router.post("/servers/{key}/reboot", status_code=202)
def reboot_server(key: str, controller: Acting, how: How | None = None) -> Ordered:
    """Start it again."""
    return _ordered(operate.reboot(controller, key, hard=how is not None and how.type == "HARD"))


@router.post("/servers/{key}/reinstall", status_code=202)
def reinstall_server(key: str, controller: Acting, how: Reinstall | None = None) -> Ordered:
    """The same image again; addresses and key are kept, the system disk's data is not."""
    return _ordered(operate.reinstall(controller, key, verify=how is not None and how.verify))


@router.delete("/servers/{key}", status_code=202)
def delete_server(key: str, controller: Acting) -> Ordered:
    """Erase it and give its node back."""
    return _ordered(operate.delete(controller, key))


@router.get("/jobs/{job_id}")
def get_job(job_id: str, controller: Acting) -> JobView:
    """How far a job is."""
    with controller.read() as tx:
        job = tx.jobs.get(job_id)
        server = tx.servers.get(job.server_id) if job and job.server_id else None
        hidden = not tx.servers.sees(server) if server else tx.caller is not None and not tx.caller.of_cloud
        if job is None or hidden:
            raise Missing("showing a job", f"there is no job {job_id}")
        return job_view(tx, job)


def _ordered(job: Job) -> Ordered:
    assert job.server_id is not None, "these jobs are of servers"
    return Ordered(job_id=job.id, server_id=job.server_id)
