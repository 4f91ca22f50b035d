# SPDX-License-Identifier: Apache-2.0
"""The survey of a server: what has become of its hardware is told once, and never lost on the way."""

from __future__ import annotations

from threading import Event

import pytest

from agent.errors import DecodeError, InputError, LinkError
from agent.host.fake import FakeHost
from agent.host.fake.doors import FakeClock
from agent.host.fake.faults import FaultPlan
from agent.job.survey import KEPT, LAST_BOOT, Survey, last
from agent.model.inventory import Inventory
from tests.inventory import equipped

STATE = "/var/lib/bms-agent"
BOOT = "/proc/sys/kernel/random/boot_id"


class Controller:
    """It takes inventories, or cannot be reached."""

    def __init__(self) -> None:
        self.told: list[Inventory] = []
        self.is_away = False
        self.is_broken = False

    def __call__(self, inventory: Inventory) -> None:
        """One more."""
        if self.is_away:
            raise LinkError("telling the controller", "no route")
        if self.is_broken:
            raise ValueError
        self.told.append(inventory)


@pytest.fixture
def controller() -> Controller:
    """One that can be reached."""
    return Controller()


@pytest.fixture
def host() -> FakeHost:
    """A server that was surveyed never before."""
    return equipped.host()


def lose_a_nic(host: FakeHost) -> None:
    """Somebody pulls a card."""
    del host.machine.links["eno2"]


def boot(host: FakeHost, number: int) -> None:
    """Another boot."""
    host.machine.tree.put(BOOT, f"{number:08}-0000-0000-0000-000000000000\n".encode())


def test_changes_are_told_once(host: FakeHost, controller: Controller) -> None:
    """First all; then nothing, as long as nothing is another; then what is."""
    survey = Survey(host, STATE, controller)

    assert survey.round() == () and len(controller.told) == 1
    assert survey.round() == () and len(controller.told) == 1
    lose_a_nic(host)
    assert "NIC.GONE" in [one.code for one in survey.round()] and len(controller.told) == 2
    assert survey.round() == () and len(controller.told) == 2


def test_what_was_not_heard_is_told_again(host: FakeHost, controller: Controller) -> None:
    """A change that the controller could not be told of is found again, by the next process, too."""
    Survey(host, STATE, controller).round()
    lose_a_nic(host)
    controller.is_away = True
    with pytest.raises(LinkError):
        Survey(host, STATE, controller).round()
    controller.is_away = False

    assert "NIC.GONE" in [one.code for one in Survey(host.restarted(), STATE, controller).round()]
    assert len(controller.told) == 2


def test_since_the_last_boot(host: FakeHost, controller: Controller) -> None:
    """What is compared with is of an earlier boot, though the service has kept a newer one since."""
    boot(host, 1)
    Survey(host, STATE, controller).round()
    before = last(host, STATE)
    assert isinstance(before.nics, tuple) and len(before.nics) == 4, "there is only this boot's"
    boot(host, 2)
    lose_a_nic(host)
    assert last(host, STATE).boot_id == before.boot_id, "the service has not looked yet"
    Survey(host, STATE, controller).round()

    assert last(host, STATE) == before
    assert {KEPT, LAST_BOOT} <= set(host.files.names(STATE))


def test_nothing_to_compare_with(host: FakeHost, controller: Controller) -> None:
    """By hand that is an error, and says what to do; a damaged one is named. The service begins anew."""
    with pytest.raises(InputError, match="there is none") as caught:
        last(host, STATE)
    assert "--diff FILE" in caught.value.hint
    host.files.write(f"{STATE}/{KEPT}", b'{"system": 1')
    with pytest.raises(DecodeError, match=KEPT):
        last(host, STATE)
    assert Survey(host, STATE, controller).round() == () and len(controller.told) == 1
    assert last(host, STATE).boot_id == host.files.read_text(BOOT).strip()


def test_the_loop_outlives_a_cut_link(host: FakeHost, controller: Controller) -> None:
    """It tries again, a fault of ours included, and ends when it is told to; so it does where udev tells nothing."""
    controller.is_away = True
    stop = Event()

    class Clock(FakeClock):
        """Four rounds."""

        def __init__(self) -> None:
            super().__init__(host.machine)
            self.waits: list[float] = []

        def wait(self, stop: Event, timeout_s: float) -> bool:
            """Then it is told to end."""
            self.waits.append(timeout_s)
            controller.is_away = len(self.waits) < 3
            controller.is_broken = len(self.waits) == 3
            return len(self.waits) > 4

    clock = Clock()
    deaf = FakeHost.of(host.machine, FaultPlan(at=1))
    Survey(deaf, STATE, controller).loop(clock, stop)

    assert clock.waits == [30.0, 300.0, 300.0, 3600.0, 3600.0] and len(controller.told) == 1


def test_hardware_that_goes_is_seen_at_once(host: FakeHost, controller: Controller) -> None:
    """Within seconds of being pulled, once the last look is a minute ago; else by the hour."""
    stop, at_s = Event(), list[float]()

    class Clock(FakeClock):
        """A card is pulled after ten minutes, and another half a minute later; all ends after three hours."""

        def wait(self, stop: Event, timeout_s: float) -> bool:
            """On the way there."""
            before_s = self.monotonic_s()
            super().wait(stop, timeout_s)
            for moment_s in (600.0, 630.0):
                if before_s < began_s + moment_s <= self.monotonic_s():
                    host.machine.hardware_changes += 1
            return self.monotonic_s() > began_s + 3 * 3600

    class Counted(Survey):
        """It only says when."""

        def round(self) -> tuple[()]:
            """Once."""
            at_s.append(clock.monotonic_s() - began_s)
            return ()

    clock = Clock(host.machine)
    began_s = clock.monotonic_s()
    Counted(host, STATE, controller).loop(clock, stop)

    assert at_s[0] == 30
    assert 600 <= at_s[1] <= 610 and at_s[2] - at_s[1] <= 70
    assert at_s[3] - at_s[2] == 3600
