# SPDX-License-Identifier: Apache-2.0
"""Giving a node the request that its job needs now.

A request belongs to the boot that took it. When the machine speaks from another boot, it was killed in the middle: that
request is abandoned, whatever is still reported of it, and the job goes on under a new one.
"""

from __future__ import annotations

from agent.controller.context import Controller
from agent.controller.flow import attest, jobs, outcome
from agent.controller.flow.network import network_of
from agent.controller.records.job import Assignment, AssignmentState, Job, Stage
from agent.controller.records.node import AgentSession, Node
from agent.controller.rules.desired import verb_for
from agent.controller.store.database import Transaction
from agent.model.disk import DiskIdentity
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.program.log import Logger

MAX_ATTEMPTS = 5
DESTRUCTIVE = frozenset({"image.deploy", "disk.erase"})

log = Logger("controller")


INTERRUPTED = Fault(
    code="BMS.INTERRUPTED",
    message=f"giving the node its request: {MAX_ATTEMPTS} attempts were cut off by restarts of the machine",
    hint="Look at its power supply and console; if it comes back into its OS each time, at its boot order.",
)


def assign(controller: Controller, tx: Transaction, job: Job, session: AgentSession | None) -> Job:
    """See to it that the job's request fits the session. A job that was cut off too often fails."""
    node = tx.nodes.get(job.node_id)
    assert node is not None, "nodes are never deleted"
    verb = _verb(job, node, session) if session else None
    if session is None or verb is None:
        return tx.jobs.change(job, request_id=None)
    held = tx.assignments.get(job.request_id) if job.request_id else None
    if held is not None and _serves(held, verb, session):
        return job
    if held is not None and held.state is AssignmentState.OPEN:
        abandon(controller, tx, job, held)
    return renew(controller, tx, job, verb)


def _verb(job: Job, node: Node, session: AgentSession) -> str | None:
    """Nobody is asked for a boot that the BMC is to bring about."""
    by_bmc = node.bmc is not None and job.stage is Stage.RAMDISK and session.mode == "service"
    return None if by_bmc or not attest.heeded(node, session) else verb_for(job, session.mode)


def _serves(held: Assignment, verb: str, session: AgentSession) -> bool:
    """It is still to be done by this boot, or was done by it, which then is about to end."""
    if held.state is AssignmentState.SUCCEEDED:
        return held.boot_id == session.boot_id
    return held.state is AssignmentState.OPEN and held.verb == verb and held.boot_id in (None, session.boot_id)


def abandon(controller: Controller, tx: Transaction, job: Job, held: Assignment) -> None:
    """It will not be finished. Where a deploy was cut off, what is on the disk is the server's own."""
    tx.assignments.change(held, state=AssignmentState.ABANDONED)
    server = tx.servers.get(job.server_id) if job.server_id else None
    if held.boot_id is not None and held.verb == "image.deploy" and server is not None:
        tx.servers.change(server, owns_disk=True)
    if held.boot_id is not None:
        log.warning("request abandoned: its boot is over", request=held.request_id, node=held.node_id)


def renew(controller: Controller, tx: Transaction, job: Job, verb: str) -> Job:
    """A request under a new id. A job that was cut off too often fails."""
    attempt = tx.assignments.count(job_id=job.id, verb=verb) + 1
    now = controller.clock.now()
    if attempt > MAX_ATTEMPTS:
        return outcome.failed(tx, now, job, INTERRUPTED)
    node = tx.nodes.get(job.node_id)
    server = tx.servers.get(job.server_id) if job.server_id else None
    assert node is not None, "nodes are never deleted"
    request = tx.assignments.add(
        Assignment(
            request_id=f"{job.id}:{verb}:{attempt}",
            job_id=job.id,
            node_id=job.node_id,
            verb=verb,
            attempt=attempt,
            overwrite=node.clean or (server is not None and server.owns_disk),
            network=network_of(tx, server) if server is not None and verb == "image.deploy" else None,
            disks=_known_disks(tx, job.node_id) if verb in DESTRUCTIVE else None,
            created_at=now,
        )
    )
    if verb in DESTRUCTIVE:
        _revoke_os(tx, job, request)
        if attempt > 1:
            job = jobs.enter(tx, now, job, f"attempt {attempt}")
    return tx.jobs.change(job, request_id=request.request_id)


def _known_disks(tx: Transaction, node_id: str) -> tuple[DiskIdentity, ...] | None:
    """The machine's own, as the ramdisk has listed them that is to carry it out."""
    entry = tx.inventories.get(node_id)
    disks = entry.inventory.disks if entry is not None else None
    if disks is None or isinstance(disks, Unknown):
        return None
    return tuple(disk.identity for disk in disks if disk.is_own)


def _revoke_os(tx: Transaction, job: Job, request: Assignment) -> None:
    """From here on the OS that was on the disk is nobody: its credential and its nonces are worth nothing."""
    tx.credentials.remove(node_id=job.node_id, mode="service")
    server = tx.servers.get(job.server_id) if job.server_id else None
    if server is not None:
        deploy_id = request.request_id if request.verb == "image.deploy" else None
        tx.servers.change(server, deploy_id=deploy_id, phone_home=None, boot_proof=None)
