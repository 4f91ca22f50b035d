# SPDX-License-Identifier: Apache-2.0
"""Ramdisk mode: what a machine says of itself until it is taken in."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Event

import pytest

from agent.config import Settings
from agent.daemon import wait_for_udev
from agent.errors import ConfigError
from agent.host.fake import FakeHost, FaultPlan, Machine, Tree
from agent.host.fake.doors import FakeClock
from agent.host.fake.faults import Effect
from agent.host.fake.machine import Record
from agent.life.sd_notify import Notifier
from agent.link.bundles import admission
from agent.ramdisk import enrol
from tests.hardware import MAC, link
from tests.link.answers import answering

ENO1 = link(up=True)
REFUSED = (403, '{"fault": {"code": "ENROLL.TOKEN_REFUSED", "message": "the machine has no NIC"}}')
TAKEN = (200, '{"node_id": "node-1", "credential": "c"}')


class SlowDriver(FakeClock):
    """While time passes, the NIC appears."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._slow = machine

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Time passes."""
        self._slow.links["eno1"] = ENO1
        self._slow.tree.put("/sys/class/net/eno1/device/vendor", b"0x8086\n")
        return super().wait(stop, timeout_s)


def machine() -> Machine:
    """A machine whose NIC has no driver yet."""
    files = {"/proc/sys/kernel/random/boot_id": "boot-1\n", "/sys/kernel/cpu_byteorder": "little\n",
             "/proc/cpuinfo": "processor : 0\nflags : lm\n\n"}  # fmt: skip
    return Machine.of(Tree.of(files), Record(origin="synthetic: a slow driver"))


def test_hardware_is_read_again_until_taken_in() -> None:
    """A NIC whose driver comes late is in the next message; the session stays the same, so nothing is done twice."""
    made = machine()
    host = replace(FakeHost.of(made), clock=SlowDriver(made))
    with answering(REFUSED, TAKEN) as server:
        opened = enrol(host, Settings(controller=server.url), Event(), Notifier({}))

    asked = [json.loads(body) for _, _, body in server.asked]
    assert [[nic["mac"] for nic in message["inventory"]["nics"]] for message in asked] == [[], [MAC]]
    assert {message["session"]["session_id"] for message in asked} == {opened.session.session_id}


def test_who_types_at_it_may_speak_for_it() -> None:
    """As whom it was taken in is kept for commands, by root alone; where there is no room for it, all else goes on."""
    made = machine()
    made.links["eno1"] = ENO1
    with answering(TAKEN) as server:
        asked = FaultPlan()
        enrol(FakeHost.of(made, asked), Settings(controller=server.url), Event(), Notifier({}))
        kept = admission(FakeHost.of(made).files, Settings(), is_ramdisk=True)
        faults = FaultPlan(at=len(asked.calls), effect=Effect.FAIL)
        opened = enrol(FakeHost.of(made, faults), Settings(controller=server.url), Event(), Notifier({}))

    assert "session.json" in faults.calls[-1]
    assert (kept.controller_url, kept.node_id) == (server.url, "node-1") and opened.node_id == "node-1"
    assert kept.credential.get_secret_value() == "c"


def test_udev_that_does_not_come_to_rest() -> None:
    """A disk that hangs does not keep the machine from being taken in."""
    faults = FaultPlan(at=1, effect=Effect.FAIL)
    wait_for_udev(FakeHost.of(machine(), faults))

    assert faults.calls == ["udev.settle()"]


def test_without_a_controller() -> None:
    """A kernel command line that names no controller is an error that says what to add."""
    with pytest.raises(ConfigError) as caught:
        enrol(FakeHost.of(machine()), Settings(), Event(), Notifier({}))
    assert caught.value.hint == "Boot with bms.controller=URL."
