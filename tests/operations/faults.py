# SPDX-License-Identifier: Apache-2.0
"""One operation, one fault, and what the controller heard of it: how every row of the table is tried.

A process of the agent serves the request and fails, or dies, at one door call; then it is started again, or the power
went with it, and its journal and whatever no disk had flushed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event
from typing import Literal

from agent.errors import AgentError, LinkError
from agent.host.doors import Clock
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine
from agent.host.fake.faults import DEADLY
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.job import JobReport
from agent.model.request import Request
from agent.operations import Operations
from tests.apply.deploying import RUN
from tests.apply.lending import honest, listening

EFFECTS = (Effect.FAIL, Effect.DIE_AFTER)  # dying before a call is dying after the one before it
SENT = "link.reports"
SENDINGS = 3
"""An answer of the controller's that was lost is waited for again; so often at most in one life."""
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
    writer     images are written by another process than root's: whose doors fail, root's or its own
    """

    name: str
    begin: Callable[[], tuple[Machine, Request]]
    done: Look
    harmless: Look
    ending: str | None = None
    tries: int | None = None
    writer: Literal["root's", "its own"] | None = None


def anything(_: Machine) -> bool:
    """There is nothing more to be seen than its reports and its power."""
    return True


@dataclass
class Controller:
    """What it was told: each report once, however often it was delivered."""

    heard: dict[tuple[str, int], JobReport] = field(default_factory=dict)
    streams: Iterator[int] = field(default_factory=count)

    def hear(self, outbox: Outbox, faults: FaultPlan) -> None:
        """All that waits, and say so. The sending is a call as those of the doors are: it may not arrive, its answer
        may not, and the process may die in between.
        """

        def take() -> int:
            self.heard |= {(outbox.stream_id, one.sequence): one.report for one in outbox.pending()}
            return outbox.pending()[-1].sequence

        for _ in range(SENDINGS):
            if not outbox.pending():
                return
            with contextlib.suppress(LinkError):
                outbox.confirm(faults.through(SENT, LinkError, take))

    @property
    def finals(self) -> list[JobReport]:
        """Of the one request."""
        return [report for report in self.heard.values() if report.state.final]


class Delivered(Outbox):
    """An outbox whose controller hears at once what somebody waits for."""

    def __init__(self, host: FakeHost, stream: str, controller: Controller) -> None:
        super().__init__(host.files, RUN, stream)
        self._controller = controller
        self._faults = host.faults

    def wait_empty(self, clock: Clock, stop: Event) -> bool:
        """It is, unless nobody is reached: then the machine is switched off before."""
        self._controller.hear(self, self._faults)
        return not self.pending()


def served(
    made: Machine, request: Request, controller: Controller, faults: FaultPlan | None = None, writer: str | None = None
) -> Job:
    """What one process of the agent makes of it, in the boot that this is."""
    is_ours = faults is None or writer != "its own"
    host = FakeHost.of(made, faults if is_ours else None)
    outbox = Delivered(host, f"stream-{next(controller.streams)}", controller)
    with ExitStack() as stack:
        others = [honest(made, None if is_ours else faults), honest(made)]
        socket = stack.enter_context(listening(*others)) if writer else None
        doer = Operations(host, "ramdisk", f"{RUN}/spool", writer=socket)
        job = Executor(doer, Journal(host.files, RUN), outbox, host.clock, "boot-1").serve(request, Event())
    controller.hear(outbox, host.faults)
    return job


def calls_of(scenario: Scenario) -> list[str]:
    """The door calls of a run that nothing disturbs, which succeeds."""
    made, request = scenario.begin()
    faults, controller = FaultPlan(), Controller()
    job = served(made, request, controller, faults, scenario.writer)
    assert job.fault is None, job.fault
    must_be_right(scenario, made, controller)
    assert scenario.done(made), f"{scenario.name} is not seen to be done"
    return faults.calls


@dataclass(frozen=True)
class Life:
    """Of one process: at which call what happens to it; so many calls later it dies, if it lives on; and then the power
    goes too, or does not.
    """

    at: int
    effect: Effect
    then_after: int | None = None
    power: bool = False

    @property
    def dies(self) -> bool:
        """Whether it may, before its end."""
        return self.effect in DEADLY or self.then_after is not None


def tries_of(scenario: Scenario, calls: int, lot: Random | None) -> list[Life]:
    """Every call fails, and every call is the last before death; or as many of these as the lot shall draw."""
    every = [
        Life(at, effect, power=effect is not Effect.FAIL and at % 2 == 0)
        for at in range(1, calls + 1)
        for effect in EFFECTS
    ]
    if lot is None or scenario.tries is None:
        return every
    return lot.sample(every, min(scenario.tries, len(every)))


def lived(scenario: Scenario, *lives: Life) -> None:
    """One process after the other, each with its fault, then one without. Raises what is not as it must be."""
    made, request = scenario.begin()
    controller, is_same_boot = Controller(), True
    for life in lives:
        plan = FaultPlan(at=life.at, effect=life.effect, then_after=life.then_after)
        with contextlib.suppress(Died, AgentError):
            served(made, request, controller, plan, scenario.writer)
        if life.power:
            made.cut_power(survives=lambda number: number % 2 == 0, keep_files=True)
            is_same_boot = False
        assert scenario.harmless(made), f"after the fault: {life}"
        if not is_same_boot and controller.finals:  # who has heard the end of a request orders it no more
            break
    else:
        served(made, request, controller, writer=scenario.writer)
    must_be_right(scenario, made, controller, is_same_boot=is_same_boot)


def must_be_right(scenario: Scenario, made: Machine, controller: Controller, *, is_same_boot: bool = True) -> None:
    """One final report, which is true; and this boot ends only after a success."""
    (final,) = controller.finals
    is_success = final.fault is None
    assert scenario.harmless(made), "in the end"
    assert not is_success or scenario.done(made), "a success that is none"
    ended = {scenario.ending} if is_success and scenario.ending else set()
    assert set(made.power_orders) <= ended and (not is_same_boot or set(made.power_orders) == ended)
