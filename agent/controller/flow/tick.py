# SPDX-License-Identifier: Apache-2.0
"""Time passes: every job is looked at, and what follows from nothing happening is done. One short transaction a job."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.controller.context import Controller
from agent.controller.flow import attest, jobs, outcome, sessions
from agent.controller.flow.publish import publish
from agent.controller.records.job import Assignment, AssignmentState, Job, JobStatus
from agent.controller.records.node import AgentSession, Node, NodeState
from agent.controller.rules.steering import NEVER, Course, Limits, Sight, steer
from agent.controller.store.database import Transaction
from agent.program.log import Logger

OPEN = (JobStatus.INIT, JobStatus.RUNNING)
TOKENS_KEPT = timedelta(days=1)
SESSIONS_KEPT = timedelta(days=7)
WAITING_KEPT = timedelta(hours=1)
"""Sessions of a node that waits for approval: whoever sends it may open any number of them."""

log = Logger("controller")


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
        nodes = tx.nodes.all()
        newest = tuple(node.session_id for node in nodes if node.session_id)
        boots = tuple(session.boot_id for session in tx.sessions.all(session_id=newest))
        waiting = tuple(node.id for node in nodes if node.state is NodeState.ENROLL)
        tx.tokens.remove_until("expires_at", now, boot_id=None)
        # an agent that is started again enrols anew, with the token of its boot
        tx.tokens.remove_until("expires_at", now - TOKENS_KEPT, but={"boot_id": boots})
        tx.sessions.remove_until("seen_at", now - SESSIONS_KEPT, but={"session_id": newest})
        tx.sessions.remove_until("seen_at", now - WAITING_KEPT, but={"session_id": newest}, node_id=waiting)


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
    began = controller.clock.jumped_at or controller.started_at
    session = sessions.current(tx, node)
    request = tx.assignments.get(job.request_id) if job.request_id else None
    return Sight(
        mode=session.mode if session and attest.heeded(node, session) else None,
        request=request.state if request else None,
        bmc=node.bmc is not None,
        power=node.power,
        silent_s=min(_age(now, session.seen_at, began), _age(now, began)) if session else NEVER,
        phase_s=_age(now, job.phase_at, began),
        power_s=_age(now, job.power_at, began),
        up_s=_age(now, began),
        erasing=_erasing(request, session),
        stranded=attest.stranded(node, session, job.power_at),
    )


def _erasing(request: Assignment | None, session: AgentSession | None) -> bool:
    """It was handed out to the boot that is still the newest, and is not over."""
    if request is None or session is None or request.boot_id is None:
        return False
    open_erasure = request.verb == "disk.erase" and request.state is AssignmentState.OPEN
    return open_erasure and request.boot_id == session.boot_id


def _course(controller: Controller, tx: Transaction, job: Job) -> Course:
    node = tx.nodes.get(job.node_id)
    assert node is not None, "a node that had a job is never deleted"
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


def _age(now: datetime, then: datetime | None, began: datetime | None = None) -> float:
    """What lies in the future, since the clock was set back, is as old as we have counted since we `began`."""
    if then is None:
        return NEVER
    return max(0.0, (now - (then if began is None or then <= now else began)).total_seconds())
