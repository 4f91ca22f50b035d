# SPDX-License-Identifier: Apache-2.0
"""The executor: one request from acceptance to its final report. It knows no verb and makes no choice.

    accept → observe and plan → check → alone with its disks → preconditions → step, step, … → ended → report → epilogue

Each arrow is journalled before the act behind it. Killed anywhere and started again, it does this: a request that
ended is reported, if it was not; one that had begun is observed and planned AGAIN, bound to the disks it began on;
a plan is never continued. A request served twice is answered from the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from agent.errors import AgentError, InputError, Recalled
from agent.host.doors import Clock
from agent.job.journal import Accepted, Begun, Ended, Job, Journal, StepBegun, digest, former_digest
from agent.model.disk import DiskIdentity
from agent.model.fault import Fault
from agent.model.job import Advance, JobReport, JobState, Progress, Result
from agent.model.plan import DiskMustBe, Epilogue, Plan, Precondition, Step
from agent.model.request import Request
from agent.program.log import Logger

log = Logger("job")
MOST_LOGGED = 400
"""Letters of one result: a report is no line of a log."""


class Doer(Protocol):
    """What the table of operations gives: deciding and doing, for every verb."""

    def plan(self, request: Request, begun: tuple[DiskIdentity, ...]) -> Plan:
        """Observe, plan and check. Raises `AgentError`; nothing was touched then."""
        ...

    def alone(self, plan: Plan) -> AbstractContextManager[None]:
        """Nobody else carries out an order with the plan's disks for as long. Raises `DiskInUse`, `HostError`."""
        ...

    def hold(self, precondition: Precondition) -> None:
        """Raises `PreconditionError` if it does not hold."""
        ...

    def do(self, step: Step, advance: Advance) -> Result:
        """Act. Raises `AgentError`."""
        ...

    def end(self, epilogue: Epilogue) -> None:
        """End this boot."""
        ...


class Reports(Protocol):
    """Where a request's reports go: the outbox, where there is one."""

    def put(self, report: JobReport) -> None:
        """Queue a report, durably."""
        ...

    def reported(self, request_id: str) -> bool:
        """Whether a final report of this request was ever put in."""
        ...

    def wait_empty(self, clock: Clock, stop: Event) -> bool:
        """Wait until everything is confirmed; False if stopped before."""
        ...


class Executor:
    """Runs requests, one at a time."""

    def __init__(self, doer: Doer, journal: Journal, outbox: Reports, clock: Clock, boot_id: str) -> None:
        self._doer = doer
        self._journal = journal
        self._outbox = outbox
        self._clock = clock
        self._boot_id = boot_id
        self.progress: Progress | None = None

    def serve(self, request: Request, stop: Event, wanted: Callable[[], bool] = lambda: True) -> Job:
        """Bring the request to its end, its report to the outbox, and its epilogue about, if it has one.

        Returns what the journal knows of it. Only `stop` or death leave it unfinished. Once `wanted` says no, it fails
        as `Recalled` the next time that a step tells how far it is.
        """
        job = self._accept(request)
        if not job.state.final:
            job = self._run(request, job, wanted)
        if not self._outbox.reported(job.request_id):
            self._report(job, fault=job.fault, result=job.result)
        if job.epilogue and job.state is JobState.SUCCEEDED and job.boot_id == self._boot_id:
            self._end(job.epilogue, stop)
        return job

    def _accept(self, request: Request) -> Job:
        known = self._journal.job(request.request_id)
        if known is None:
            log.info("request accepted", request=request.request_id, verb=request.verb)
            return self._journal.write(
                Accepted(request_id=request.request_id, verb=request.verb, digest=digest(request))
            )
        if known.digest not in (digest(request), former_digest(request)):
            raise InputError(f"accepting request {request.request_id}", "that id was used for another request")
        return known

    def _run(self, request: Request, job: Job, wanted: Callable[[], bool]) -> Job:
        try:
            result = self._carry_out(request, job, wanted)
        except Exception as error:  # every failure becomes the job's fault; death passes
            fault = Fault.of(error)
            log.error(
                "request failed",
                request=job.request_id,
                code=fault.code,
                fault=fault.message,
                causes=fault.details,
                exc_info=fault.code == "AGENT.BUG",
            )
            found = error.found if isinstance(error, AgentError) else {}
            ended = Ended(
                request_id=job.request_id, state=JobState.FAILED, boot_id=self._boot_id, fault=fault, result=found
            )
        else:
            told = {name: value for name, value in result.items() if len(str(value)) <= MOST_LOGGED}
            log.info("request succeeded", request=job.request_id, **told)
            ended = Ended(request_id=job.request_id, state=JobState.SUCCEEDED, boot_id=self._boot_id, result=result)
        finally:
            self.progress = None
        return self._journal.write(ended)

    def _carry_out(self, request: Request, job: Job, wanted: Callable[[], bool]) -> Result:
        plan = self._doer.plan(request, job.disks)
        with self._doer.alone(plan):
            return self._carried_out(plan, job, wanted)

    def _carried_out(self, plan: Plan, job: Job, wanted: Callable[[], bool]) -> Result:
        """Before every step the preconditions are held: hours may be between two, and a disk's path may by then lead to
        another.
        """
        self._hold(plan)
        disks = tuple(one.disk for one in plan.preconditions if isinstance(one, DiskMustBe))
        job = self._journal.write(Begun(request_id=job.request_id, disks=disks, epilogue=plan.epilogue))
        result: Result = {}
        for place, step in enumerate(plan.steps):
            job = self._journal.write(StepBegun(request_id=job.request_id, step=step.kind))
            self._report(job)
            try:
                if place:
                    self._hold(plan)
                result |= self._doer.do(step, self._advance(job, step.kind, wanted))
            except AgentError as error:  # what the steps before found is not lost with this one: a certificate of hours
                error.found = {**result, **error.found}
                raise
        return result

    def _hold(self, plan: Plan) -> None:
        for precondition in plan.preconditions:
            self._doer.hold(precondition)

    def _advance(self, job: Job, step: str, wanted: Callable[[], bool]) -> Advance:
        def advance(done: int, total: int | None, limited_by: str | None = None, /) -> None:
            if not wanted():
                raise Recalled(f"carrying out {job.request_id}", "it is not wanted any more")
            self.progress = Progress(
                request_id=job.request_id, step=step, done_bytes=done, total_bytes=total, limited_by=limited_by
            )

        advance(0, None)
        return advance

    def _report(self, job: Job, fault: Fault | None = None, result: Result | None = None) -> None:
        self._outbox.put(
            JobReport(
                request_id=job.request_id,
                verb=job.verb,
                state=job.state,
                step=job.step,
                fault=fault,
                result=result or {},
                at=self._clock.now(),
            )
        )

    def _end(self, epilogue: Epilogue, stop: Event) -> None:
        """Doing it twice in one boot is harmless; doing it before the controller knows would be a loop."""
        if self._outbox.wait_empty(self._clock, stop):
            log.info("ending this boot", how=epilogue.value)
            self._doer.end(epilogue)
