# SPDX-License-Identifier: Apache-2.0
"""Time passes: every job is looked at, and what follows from nothing happening is done. One short transaction a job."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from agent.controller.context import Controller
from agent.controller.flow import jobs, outcome, sessions
from agent.controller.flow.publish import publish
from agent.controller.records.job import Job, JobStatus
from agent.controller.records.node import Node
from agent.controller.rules.steering import NEVER, Course, Limits, Sight, steer
from agent.controller.store.database import Transaction

OPEN = (JobStatus.INIT, JobStatus.RUNNING)
SESSIONS_KEPT = timedelta(days=7)

log = structlog.get_logger("controller")


def tick(controller: Controller) -> None:
    """Look at every job that is not over."""
    with controller.read() as tx:
        open_jobs = tx.jobs.all(status=OPEN)
        due = [job.id for job in open_jobs if _course(controller, tx, job) != Course()]
    for job_id in due:
        with controller.write() as tx:
            job = tx.jobs.get(job_id)
            if job is not None and not job.status.final:
                _follow(controller, tx, job, _course(controller, tx, job))


def sweep(controller: Controller) -> None:
    """Forget what is of no more use: spent tokens, and sessions that ended long ago."""
    now = controller.clock.now()
    with controller.write() as tx:
        newest = {node.session_id for node in tx.nodes.all()}
        boots = {session.boot_id for session in tx.sessions.all() if session.session_id in newest}
        for token in tx.tokens.all():  # an agent that is started again enrols anew, with the token of its boot
            if token.expires_at + timedelta(days=1) <= now and token.boot_id not in boots:
                tx.tokens.remove(digest=token.digest)
        for session in tx.sessions.all():
            if session.seen_at + SESSIONS_KEPT <= now and session.session_id not in newest:
                tx.sessions.remove(session_id=session.session_id)


def limits(controller: Controller) -> Limits:
    """The options that steering goes by."""
    options = controller.options
    return Limits(
        patience_s=options.patience_s,
        boot_timeout_s=options.boot_timeout_s,
        silence_timeout_s=options.silence_timeout_s,
    )


def sight(controller: Controller, tx: Transaction, job: Job, node: Node) -> Sight:
    """What is seen of the job's machine now."""
    now = controller.clock.now()
    session = sessions.current(tx, node)
    request = tx.assignments.get(job.request_id) if job.request_id else None
    return Sight(
        mode=session.mode if session else None,
        request=request.state if request else None,
        bmc=node.bmc is not None,
        power=node.power,
        silent_s=min(_age(now, session.seen_at), _age(now, controller.started_at)) if session else NEVER,
        phase_s=_age(now, job.phase_at),
        power_s=_age(now, job.power_at),
        up_s=_age(now, controller.started_at),
    )


def _course(controller: Controller, tx: Transaction, job: Job) -> Course:
    node = tx.nodes.get(job.node_id)
    assert node is not None, "nodes are never deleted"
    course = steer(job, sight(controller, tx, job, node), limits(controller))
    settled = course.phase in (None, job.phase) and course.power in (None, job.power_wanted)
    if settled and not (course.fault or course.done):
        return Course()
    return course


def _follow(controller: Controller, tx: Transaction, job: Job, course: Course) -> None:
    now = controller.clock.now()
    if course.fault is not None:
        outcome.failed(tx, now, job, course.fault)
    elif course.done:
        outcome.stopped(tx, now, job)
    else:
        if course.phase is not None:
            job = jobs.enter(tx, now, job, course.phase)
        if course.power is not None:
            tx.jobs.change(job, power_wanted=course.power)
    publish(controller, tx, job.node_id)


def _age(now: datetime, then: datetime | None) -> float:
    return NEVER if then is None else max(0.0, (now - then).total_seconds())
