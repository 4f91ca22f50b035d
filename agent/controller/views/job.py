# SPDX-License-Identifier: Apache-2.0
"""A job as the user sees it: the cloud's form, with phases and progress added."""

from __future__ import annotations

from datetime import datetime

from agent.controller.flow import sessions
from agent.controller.records.job import Job, JobStatus, Operation
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.job import Progress

JOB_TYPES = {
    Operation.CREATE: "baremetalSingleCreate",
    Operation.START: "baremetalSingleOperate",
    Operation.STOP: "baremetalSingleOperate",
    Operation.REBOOT: "baremetalSingleOperate",
    Operation.REINSTALL: "baremetalSingleReinstall",
    Operation.DELETE: "baremetalSingleDelete",
    Operation.CLEAN: "baremetalNodeClean",
    Operation.VALIDATE: "baremetalNodeValidate",
}


class PhaseView(Frozen):
    """A line of the timeline."""

    name: str
    began_at: datetime
    ended_at: datetime | None


class JobView(Frozen):
    """A job."""

    job_id: str
    job_type: str
    operation: Operation
    status: JobStatus
    entities: dict[str, str]
    begin_time: datetime
    end_time: datetime | None
    error_code: str | None
    fail_reason: str | None
    fault: Fault | None
    phases: tuple[PhaseView, ...]
    progress: Progress | None


def job_view(tx: Transaction, job: Job) -> JobView:
    """With its timeline; progress is that of the request under way."""
    phases = sorted(tx.phases.all(job_id=job.id), key=lambda phase: phase.position)
    entities = {"node_id": job.node_id} | ({"server_id": job.server_id} if job.server_id else {})
    return JobView(
        job_id=job.id,
        job_type=JOB_TYPES[job.operation],
        operation=job.operation,
        status=job.status,
        entities=entities,
        begin_time=job.begun_at,
        end_time=job.ended_at,
        error_code=job.fault.code if job.fault else None,
        fail_reason=job.fault.message if job.fault else None,
        fault=job.fault,
        phases=tuple(PhaseView(name=one.name, began_at=one.began_at, ended_at=one.ended_at) for one in phases),
        progress=progress_of(tx, job),
    )


def progress_of(tx: Transaction, job: Job) -> Progress | None:
    """How far its request is, as its machine told last."""
    node = tx.nodes.get(job.node_id)
    session = sessions.current(tx, node) if node and not job.status.final else None
    progress = session.progress if session else None
    return progress if progress and progress.request_id == job.request_id else None
