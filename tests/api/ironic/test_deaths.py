# SPDX-License-Identifier: Apache-2.0
"""The process dies between any two words that it writes down: what Ironic then reads is never "just booted" (T2)."""

from __future__ import annotations

from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from agent.api.ironic.commands import Command, Commands, Kind, Outcome
from agent.api.ironic.record import Record
from agent.host.fake import Died, Effect, FakeHost, FaultPlan
from agent.host.fake.machine import Machine
from agent.life.watch import Watch
from agent.model.ironic.wire import CommandResult, Status
from tests.api.ironic.served import BOOT, DIRECTORY, NODE, TIMEOUT_S, identity

STEP = "deploy.execute_deploy_step"
LIST = "deploy.get_deploy_steps"


class Life:
    """A process of the agent. `answered` is what Ironic was told, `done` how often the step came to its end."""

    def __init__(self, machine: Machine, plan: FaultPlan | None = None) -> None:
        self.host = FakeHost.of(machine, plan)
        self.answered: list[CommandResult] = []
        self.done = 0
        self.news = Event()
        record = Record(self.host.files, DIRECTORY, BOOT)
        if record.held is None:
            record.open(identity(), NODE)
        rows = {
            LIST: Command(Kind.DONE, lambda *_: Outcome()),
            STEP: Command(Kind.STARTED, self._step),
        }
        self.commands = Commands(rows, record, self.news, lambda _: self.news.set())

    def _step(self, _: str, __: dict[str, Any]) -> Outcome:
        """It touches the machine once."""
        self.host.files.write("/run/written", b"all of it", mode=0o600)
        self.done += 1
        return Outcome(result={"deploy_step": {}})

    def conducted(self) -> None:
        """As Ironic does: the steps that there are, then one of them. Raises `Died`."""
        for name in (LIST, STEP):
            self.answered.append(self.commands.order(name, {}, wait=name == LIST))

    def ended(self) -> tuple[CommandResult, ...]:
        """The list, once nothing runs any more."""
        for one in self.commands.listed():
            self.commands.found(one.id, wait=True)
        return self.commands.listed()


def died(machine: Machine, plan: FaultPlan) -> Life | None:
    """A life up to its death; None where it came before the process was known to Ironic at all."""
    try:
        life = Life(machine, plan)
    except Died:
        return None
    try:
        life.conducted()
    except Died:
        return life
    for thread in enumerate_threads():
        if thread.name == "execute_deploy_step":
            thread.join(TIMEOUT_S)
    return life


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("effect", [Effect.DIE_BEFORE, Effect.DIE_AFTER])
def test_a_death_anywhere(effect: Effect) -> None:
    """What was answered is in the list of the next process, and comes to its end there; what ended well was done."""
    counted = FaultPlan()
    whole = Life(FakeHost.with_files({}).machine, counted)
    whole.conducted()
    assert [one.command_status for one in whole.ended()] == [Status.SUCCEEDED] * 2
    calls = len(counted.calls)
    for at in range(1, calls + 1):
        machine = FakeHost.with_files({}).machine
        first = died(machine, FaultPlan(at=at, effect=effect))
        if first is None:
            continue
        second = Life(machine)
        second.commands.resume()
        told, listed = [one.id for one in first.answered], second.ended()
        assert [one.id for one in listed][: len(told)] == told, at
        assert all(one.command_status in {Status.SUCCEEDED, Status.FAILED} for one in listed), at
        steps = [one for one in listed if one.command_name == "execute_deploy_step"]
        assert len(steps) == 1 or len(told) < 2, at
        assert all(first.done + second.done for one in steps if one.command_status is Status.SUCCEEDED), at


def test_a_command_that_ends_the_interpreter_s_way() -> None:
    """What is no ordinary error is told, too: nobody else would end such a command."""
    host, died = FakeHost.with_files({}), list[BaseException]()
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)

    def leaves(*_: object) -> Outcome:
        raise SystemExit(3)

    commands = Commands({STEP: Command(Kind.STARTED, leaves)}, record, Event(), died.append)
    commands.order(STEP, {}, wait=False)
    for thread in enumerate_threads():
        if thread.name == "execute_deploy_step":
            thread.join(TIMEOUT_S)

    assert [type(one) for one in died] == [SystemExit] and commands.running == "execute_deploy_step"


def test_a_command_that_hangs_is_found() -> None:
    """Its progress is the same for longer than a step's ever is; one that goes on, or has ended, is left alone."""
    host, over, started = FakeHost.with_files({}), Event(), Event()
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)

    def hangs(*_: object) -> Outcome:
        started.set()
        over.wait(TIMEOUT_S)
        return Outcome()

    watch = Watch(host.clock)
    commands = Commands({STEP: Command(Kind.STARTED, hangs)}, record, Event(), lambda _: None)
    commands.watched(watch, None, 100.0)
    host.machine.uptime_s += 1000
    assert watch.silent() == []
    begun = commands.order(STEP, {}, wait=False)
    assert started.wait(TIMEOUT_S)
    for done in (0, 1, 2, 3, 3, 3):
        commands.watched(watch, done, 100.0)
        assert watch.silent() == []
        host.machine.uptime_s += 40
    commands.watched(watch, 3, 100.0)
    assert ["watching the command" in str(one) for one in watch.silent()] == [True]
    over.set()
    commands.found(begun.id, wait=True)
    commands.watched(watch, 3, 100.0)

    assert watch.silent() == []
