# SPDX-License-Identifier: Apache-2.0
"""One operation, one fault, and what the controller heard of it: how every row of the table is tried.

A process of the agent serves the request and fails, or dies, at one door call; then it is started again, or the power
went with it, and its journal and whatever no disk had flushed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event

from agent.errors import AgentError
from agent.host.doors import Clock, Files
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.job import JobReport
from agent.model.request import Request
from agent.operations import Operations
from tests.apply.deploying import RUN

EFFECTS = (Effect.FAIL, Effect.DIE_AFTER)  # dying before a call is dying after the one before it
Look = Callable[[Machine], bool]


@dataclass(frozen=True)
class Scenario:
    """An operation on a small machine.

    begin      the machine before, and what is asked of it
    done       whether all that was asked for is there
    harmless   whether nothing is as it never may be, whatever happened: nothing boots that was not verified, and what
               was not meant is as it was
    ending     the power order that follows a success
    tries      of all its faults so many, drawn by lot, where it is slow; `tests/run long` takes them all
    """

    name: str
    begin: Callable[[], tuple[Machine, Request]]
    done: Look
    harmless: Look
    ending: str | None = None
    tries: int | None = None


def anything(_: Machine) -> bool:
    """There is nothing more to be seen than its reports and its power."""
    return True


@dataclass
class Controller:
    """What it was told: each report once, however often it was delivered."""

    heard: dict[tuple[str, int], JobReport] = field(default_factory=dict)
    streams: Iterator[int] = field(default_factory=count)

    def hear(self, outbox: Outbox) -> None:
        """All that waits, and say so."""
        for one in outbox.pending():
            self.heard[outbox.stream_id, one.sequence] = one.report
            outbox.confirm(one.sequence)

    @property
    def finals(self) -> list[JobReport]:
        """Of the one request."""
        return [report for report in self.heard.values() if report.state.final]


class Delivered(Outbox):
    """An outbox whose controller hears at once what somebody waits for."""

    def __init__(self, files: Files, stream: str, controller: Controller) -> None:
        super().__init__(files, RUN, stream)
        self._controller = controller

    def wait_empty(self, clock: Clock, stop: Event) -> bool:
        """It is."""
        self._controller.hear(self)
        return True


def served(made: Machine, request: Request, controller: Controller, faults: FaultPlan | None = None) -> Job:
    """What one process of the agent makes of it, in the boot that this is."""
    host = FakeHost.of(made, faults)
    outbox = Delivered(host.files, f"stream-{next(controller.streams)}", controller)
    doer = Operations(host, "ramdisk", f"{RUN}/spool")
    job = Executor(doer, Journal(host.files, RUN), outbox, host.clock, "boot-1").serve(request, Event())
    controller.hear(outbox)
    return job


def calls_of(scenario: Scenario) -> list[str]:
    """The door calls of a run that nothing disturbs, which succeeds."""
    made, request = scenario.begin()
    faults, controller = FaultPlan(), Controller()
    job = served(made, request, controller, faults)
    assert job.fault is None, job.fault
    must_be_right(scenario, made, controller)
    assert scenario.done(made), f"{scenario.name} is not seen to be done"
    return faults.calls


Try = tuple[int, Effect, bool]
"""At which call, what, and whether the power goes too."""


def tries_of(scenario: Scenario, calls: int, lot: Random | None) -> list[Try]:
    """Every call fails, and every call is the last before death; or as many of these as the lot shall draw."""
    every = [
        (at, effect, effect is not Effect.FAIL and at % 2 == 0) for at in range(1, calls + 1) for effect in EFFECTS
    ]
    if lot is None or scenario.tries is None:
        return every
    return lot.sample(every, min(scenario.tries, len(every)))


def tried(scenario: Scenario, at: int, effect: Effect, *, power: bool) -> None:
    """With that fault, then begun again; `power`: it went with the process. Raises what is not as it must be."""
    made, request = scenario.begin()
    controller = Controller()
    with contextlib.suppress(Died, AgentError):
        served(made, request, controller, FaultPlan(at=at, effect=effect))
    if power:
        made.cut_power(survives=lambda number: number % 2 == 0, keep_files=True)
    assert scenario.harmless(made), "after the fault"
    if not power or not controller.finals:  # who has heard the end of a request orders it no more
        served(made, request, controller)
    must_be_right(scenario, made, controller, is_same_boot=not power)


def must_be_right(scenario: Scenario, made: Machine, controller: Controller, *, is_same_boot: bool = True) -> None:
    """One final report, which is true; and this boot ends only after a success."""
    (final,) = controller.finals
    is_success = final.fault is None
    assert scenario.harmless(made), "in the end"
    assert not is_success or scenario.done(made), "a success that is none"
    ended = {scenario.ending} if is_success and scenario.ending else set()
    assert set(made.power_orders) <= ended and (not is_same_boot or set(made.power_orders) == ended)
