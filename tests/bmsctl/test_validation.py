# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node validate` and `validation`: what an operator types, reads, and gets as a status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from agent.model.burn_in import State
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.request import ValidateRequest
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.test_validation import FAILED, found
from tests.controller.world import World


@pytest.fixture
def machine(world: World) -> Machine:
    """In its ramdisk, available."""
    return Machine(world).power_on()


def asked(machine: Machine) -> ValidateRequest:
    """What its agent is."""
    request = machine.desired().request
    assert isinstance(request, ValidateRequest)
    return request


@contextmanager
def answering(machine: Machine, state: State, fault: Fault | None) -> Iterator[None]:
    """Its agent says that, once it is asked."""

    def answer() -> None:
        for _ in range(600):
            if isinstance(request := machine.desired().request, ValidateRequest):
                machine.report(request, JobState.FAILED if fault else JobState.SUCCEEDED, None, fault, found(state))
                return
            Event().wait(0.02)

    agent = Thread(target=answer, name="agent")
    agent.start()
    yield
    agent.join(20)


def test_it_is_ordered_in_full(bmsctl: Keyboard, machine: Machine) -> None:
    """Everything that can be said arrives; the job is named."""
    words = ("--mode", "standard", "--only", "cpu,memory", "--set", "seconds=7", "--time-limit", "90")
    typed = bmsctl("node", "validate", machine.node_id, *words)
    request = asked(machine)

    assert typed.status == 0 and "job " in typed.output
    assert (request.profile, request.parts, request.settings) == ("standard", ("cpu", "memory"), {"seconds": 7})
    assert request.time_limit_s == 90
    assert "called off" in bmsctl("node", "validate", machine.node_id, "--cancel").output
    assert machine.desired().request is None
    assert "BMS.CANCELLED" in bmsctl("node", "validation", machine.node_id).output


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [("passed", 0, "passed: 0 failed"), ("degraded", 9, "DISK.FAILING"), ("skipped", 8, "skipped: ")],
)
def test_what_was_found_is_shown(bmsctl: Keyboard, machine: Machine, state: State, status: int, said: str) -> None:
    """Each verdict, with what to do; and a status for a script."""
    bmsctl("node", "validate", machine.node_id)
    machine.report(asked(machine), JobState.SUCCEEDED, result=found(state))
    shown = bmsctl("node", "validation", machine.node_id)

    assert shown.status == status and said in shown.output and "disk.health" in shown.output
    assert ("to do" in shown.output) == (state != "passed")
    assert bmsctl("node", "validation", machine.node_id, "--json").json["validations"][0]["found"]["state"] == state


def test_flavors_are_shown_beside(bmsctl: Keyboard, machine: Machine) -> None:
    """One that fits is a match; of another, each field that does not, with what is wanted and what is there."""
    bmsctl("flavor", "create", "huge", "--cores", "64")
    shown = " ".join(bmsctl("node", "validation", machine.node_id).output.split())

    assert "never validated" in shown and "huge mismatch cores 64 4" in shown and "small match all" in shown


def test_it_is_waited_for(bmsctl: Keyboard, machine: Machine) -> None:
    """And shown, whatever came of it: a failure has the status that it has on the machine itself."""
    cases: tuple[tuple[State, Fault | None, int], ...] = (("passed", None, 0), ("failed", FAILED, 8))
    for state, fault, status in cases:
        with answering(machine, state, fault):
            typed = bmsctl("node", "validate", machine.node_id, "--wait")
        assert typed.status == status and "disk.health" in typed.output, typed
        assert "validate done" in typed.output or fault is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "seconds"), "seconds is not KEY=VALUE"),
        (("--set", "seconds=long"), "long is no whole number"),
        (("--test", "disk.write"), "destroys what is on a disk"),
        (("--profile", "forever"), "'quick', 'standard' or 'long'"),
        (("--cancel",), "none is under way"),
    ],
)
def test_what_is_typed_wrong(bmsctl: Keyboard, machine: Machine, words: tuple[str, ...], said: str) -> None:
    """Status 2, and what is wrong."""
    typed = bmsctl("node", "validate", machine.node_id, *words)

    assert typed.status == 2 and said in typed.error
