# SPDX-License-Identifier: Apache-2.0
"""The life of a job: begun, phase after phase, ended."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from agent.controller.records.job import AssignmentState, Job, JobStatus, Operation, Phase, Stage
from agent.controller.records.node import Node
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.program.log import Logger

log = Logger("controller")


def begin(
    tx: Transaction,
    now: datetime,
    operation: Operation,
    node: Node,
    *,
    stage: Stage,
    phase: str,
    server_id: str | None = None,
    hard: bool = False,
    verify: bool = False,
) -> Job:
    """A new job of this node, in its first phase."""
    session = tx.sessions.get(node.session_id) if node.session_id else None
    job = tx.jobs.add(
        Job(
            id=str(uuid4()),
            operation=operation,
            hard=hard,
            verify=verify,
            node_id=node.id,
            server_id=server_id,
            stage=stage,
            phase_at=now,
            boot_id=session.boot_id if session else None,
            begun_at=now,
        )
    )
    return enter(tx, now, job, phase)


def enter(tx: Transaction, now: datetime, job: Job, phase: str, stage: Stage | None = None) -> Job:
    """The job's next phase, and perhaps stage. Being in it already changes nothing."""
    stage = stage or job.stage
    if (job.phase, job.stage) == (phase, stage):
        return job
    _close_phase(tx, now, job)
    position = tx.phases.count(job_id=job.id)
    tx.phases.add(Phase(id=f"{job.id}:{position:04}", job_id=job.id, position=position, name=phase, began_at=now))
    log.info(
        "phase", job=job.id, operation=job.operation.value, server=job.server_id, node=job.node_id, phase=str(phase)
    )
    return tx.jobs.change(job, phase=phase, phase_at=now, stage=stage)


def running(tx: Transaction, job: Job) -> Job:
    """The machine has taken it up."""
    return tx.jobs.change(job, status=JobStatus.RUNNING) if job.status is JobStatus.INIT else job


def end(tx: Transaction, now: datetime, job: Job, fault: Fault | None = None) -> Job:
    """The job is over; its open request is not wanted any more, and its node is free of it."""
    _close_phase(tx, now, job)
    request = tx.assignments.get(job.request_id) if job.request_id else None
    if request is not None and request.state is AssignmentState.OPEN:
        tx.assignments.change(request, state=AssignmentState.ABANDONED)
    for one in tx.assignments.all(job_id=job.id):
        if one.given is not None:  # nobody asks for it any more, and it holds secrets
            tx.assignments.change(one, given=None)
    node = tx.nodes.get(job.node_id)
    if node is not None and node.job_id == job.id:
        tx.nodes.change(node, job_id=None, updated_at=now)
    status = JobStatus.FAIL if fault else JobStatus.SUCCESS
    log.info(
        "job over",
        job=job.id,
        operation=job.operation.value,
        server=job.server_id,
        status=status.value,
        seconds=round((now - job.begun_at).total_seconds()),
        **({"code": fault.code} if fault else {}),
    )
    return tx.jobs.change(job, status=status, ended_at=now, fault=fault, power_wanted=None)


def of_node(tx: Transaction, node: Node) -> Job | None:
    """The job that moves this node."""
    return tx.jobs.get(node.job_id) if node.job_id else None


def _close_phase(tx: Transaction, now: datetime, job: Job) -> None:
    for phase in tx.phases.all(job_id=job.id, ended_at=None):
        tx.phases.change(phase, ended_at=now)
