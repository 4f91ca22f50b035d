# SPDX-License-Identifier: Apache-2.0
"""The node's key in an installed OS: sealed where there is a TPM, had back at each start; and made anew, and told,
where the TPM does not give it back; whatever call fails or is the last one."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from threading import Event

import pytest

from agent.errors import AgentError, DeviceError
from agent.host.doors import Host
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine
from agent.host.fake.doors import FakeClock
from agent.link.key import FILE, NodeKey
from agent.link.sealed import ABSENT_S, LOST, PATIENCE_S, SEALED, SPARE, ServiceKeys, known_key
from agent.model.hardware.tpm_owner import LOCKOUT, clear

DIRECTORY = "/var/lib/bms-agent"
CLEAR, SEALED_FILE, LOST_FILE, SPARE_FILE = (f"{DIRECTORY}/{name}" for name in (FILE, SEALED, LOST, SPARE))
DONE = bytes.fromhex("80010000000a00000000")


def host(*, tpm: bool = True) -> FakeHost:
    """A machine, with a TPM or without."""
    made = FakeHost.with_files({})
    made.machine.tpm = {clear(LOCKOUT): DONE} if tpm else None
    return made


def service_key(of: Host, directory: str, stop: Event) -> NodeKey:
    """With which a service begins to call."""
    return ServiceKeys(of, directory).open(stop)


def key(of: FakeHost) -> str:
    """As the service of the next start has it."""
    return service_key(of.restarted(), DIRECTORY, Event()).public


def everything(of: FakeHost) -> bytes:
    """All that a copy of the disk has."""
    return b"".join(entry for entry in of.machine.tree.entries.values() if isinstance(entry, bytes))


def test_no_disk_has_the_key() -> None:
    """Made, sealed, and had back at each start; it never lay anywhere else."""
    one = host()
    made = service_key(one, DIRECTORY, Event())

    assert made.fault is None
    assert not one.files.exists(CLEAR) and made.secret not in everything(one)
    assert key(one) == key(one) == made.public
    known = known_key(one, DIRECTORY)
    assert known is not None and known.public == made.public


def test_without_a_tpm_all_is_as_it_was() -> None:
    """A key in a file, and nothing to complain of."""
    one = host(tpm=False)
    assert known_key(one, DIRECTORY) is None
    made = service_key(one, DIRECTORY, Event())

    assert made.fault is None and one.files.read_bytes(CLEAR) == made.secret
    assert key(one) == made.public


def test_one_of_an_earlier_release_is_sealed() -> None:
    """It stays the node's key, and leaves the disk."""
    one = host(tpm=False)
    before = key(one)
    one.machine.tpm = {}

    assert key(one) == before
    assert one.files.exists(SEALED_FILE) and not one.files.exists(CLEAR)
    assert key(one) == before


def test_a_copied_disk_has_no_key() -> None:
    """In another machine, with a TPM or without, there is another key, and it is told; at the next start it stays."""
    one = host()
    before = key(one)
    for tpm in (True, False):
        copy = host(tpm=tpm)
        copy.machine.tree.put(SEALED_FILE, one.machine.tree.entries[SEALED_FILE])
        found = service_key(copy, DIRECTORY, Event())
        assert found.public != before
        assert found.fault is not None and found.fingerprint in found.fault.message
        assert found.fault.code == ("KEY.LOST" if tpm else "KEY.WAITS")
        assert key(copy) == found.public
        taken(copy, found.public)
        assert copy.files.exists(LOST_FILE) and not copy.files.exists(SPARE_FILE)
        assert key(copy) == found.public
    assert key(one) == before


def test_a_cleared_tpm_loses_the_key() -> None:
    """As it does between two tenants; a new one is sealed to it."""
    one = host()
    before = key(one)
    one.tpm.clear(clear(LOCKOUT))
    found = service_key(one, DIRECTORY, Event())

    assert found.public != before
    assert found.fault is not None and found.fault.code == "KEY.LOST"
    assert key(one) == found.public
    taken(one, found.public)
    assert service_key(one.restarted(), DIRECTORY, Event()).fault is None and key(one) == found.public
    assert one.files.exists(SEALED_FILE) and not one.files.exists(CLEAR)


def taken(of: FakeHost, public: str) -> None:
    """The next process calls, and the controller knows this key alone."""
    keys = ServiceKeys(of.restarted(), DIRECTORY)
    keys.open(Event())
    known = next((one for one in keys.all() if one.public == public), None)
    assert known is not None
    keys.take(known)


def test_a_disk_that_comes_back_has_its_key() -> None:
    """It was in another machine meanwhile, for a repair, and called from there with a key that nobody has bound."""
    one = host()
    before, sealed_by = key(one), dict(one.machine.tpm_sealed)
    one.machine.tpm_sealed.clear()
    assert key(one) != before
    one.machine.tpm_sealed.update(sealed_by)
    back = service_key(one.restarted(), DIRECTORY, Event())
    assert back.public == before and back.fault is None
    taken(one, before)

    assert not one.files.exists(SPARE_FILE) and not one.files.exists(f"{SPARE_FILE}.sealed")
    assert not one.files.exists(LOST_FILE) and key(one) == before


def test_what_the_controller_has_taken_stays() -> None:
    """An operator has bound the spare key, and the TPM unseals the old one again: the controller is asked by both."""
    one = host()
    before, sealed_by = key(one), dict(one.machine.tpm_sealed)
    one.machine.tpm_sealed.clear()
    spare = key(one)
    one.machine.tpm_sealed.update(sealed_by)
    assert [each.public for each in ServiceKeys(one.restarted(), DIRECTORY).all()] == [before, spare]
    taken(one, spare)

    assert key(one) == spare and one.files.exists(LOST_FILE)


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_BEFORE, Effect.DIE_AFTER])
@pytest.mark.parametrize("works", [True, False])
def test_no_fault_costs_the_key_that_was_taken(effect: Effect, *, works: bool) -> None:
    """Whatever call fails, or is the last, while the spare key becomes the node's own, that is what it calls with."""
    at, is_over = 0, False
    while not is_over:
        at += 1
        one = host()
        key(one)
        one.machine.tpm_sealed.clear()
        one.machine.tpm = {} if works else None
        spare = service_key(one.restarted(), DIRECTORY, Event())
        process = one.restarted(FaultPlan(at=at, effect=effect))
        with suppress(AgentError, Died):
            keys = ServiceKeys(process, DIRECTORY)
            keys.take(next(each for each in keys.all() if each.public == spare.public))
        is_over = len(process.faults.calls) < at
        assert spare.public in [each.public for each in ServiceKeys(one.restarted(), DIRECTORY).all()]
        taken(one, spare.public)
        assert key(one) == spare.public
    assert at > 5


def test_a_tpm_that_is_away_for_an_hour() -> None:
    """After some patience the node calls with a spare key, and says why; what was sealed is tried before every call,
    and once it is had, and taken, there is nothing for an operator to do."""
    one = host()
    before = key(one)
    one.machine.tpm, answers = None, one.machine.tpm
    heard: list[str] = []
    keys = ServiceKeys(one.restarted(), DIRECTORY)
    began_s = one.clock.monotonic_s()
    spare = keys.open(Event(), tell=lambda fault: heard.append(fault.code))
    assert ABSENT_S <= one.clock.monotonic_s() - began_s < PATIENCE_S / 5 and set(heard) == {"KEY.WAITS"}
    assert spare.public != before and spare.fault is not None and spare.fault.code == "KEY.WAITS"
    for _ in range(60):
        assert [each.public for each in keys.all()] == [spare.public]
    one.machine.tpm = answers
    found = next(iter(keys.all()))
    keys.take(found)

    assert found.public == before and found.fault is None
    assert key(one) == before and not one.files.exists(SPARE_FILE)


def test_a_tpm_that_comes_late_is_waited_for() -> None:
    """A driver that is a few seconds later than the agent costs nobody their key; by hand nobody waits."""
    one = host()
    before = key(one)
    one.machine.tpm, answers = None, one.machine.tpm
    with pytest.raises(DeviceError):
        known_key(one, DIRECTORY)
    late = replace(one.restarted(), clock=Late(one.machine, answers))

    assert service_key(late, DIRECTORY, Event()).public == before
    assert one.files.exists(SEALED_FILE)


class Late(FakeClock):
    """While somebody waits, the driver of the TPM comes."""

    def __init__(self, machine: Machine, answers: dict[bytes, bytes] | None) -> None:
        super().__init__(machine)
        self._of, self._answers = machine, answers

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """For it."""
        self._of.tpm = self._answers
        return super().wait(stop, timeout_s)


def test_a_broken_tpm_seals_nothing() -> None:
    """The key is kept in a file, which is told; once the TPM works, it is sealed."""
    one = host()
    made = service_key(struck(one, "tpm.seal", Effect.FAIL), DIRECTORY, Event())

    assert made.fault is not None and made.fault.code == "KEY.NOT_SEALED"
    assert one.files.read_bytes(CLEAR) == made.secret
    assert service_key(one.restarted(), DIRECTORY, Event()).fault is None
    assert key(one) == made.public and not one.files.exists(CLEAR)


def struck(of: FakeHost, call: str, effect: Effect) -> FakeHost:
    """The next process, which is struck at its first call of that door."""
    trial = FakeHost.of(deepcopy(of.machine))
    service_key(trial, DIRECTORY, Event())
    at = next(number for number, found in enumerate(trial.faults.calls, 1) if found.startswith(call))
    return of.restarted(FaultPlan(at=at, effect=effect))


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_BEFORE, Effect.DIE_AFTER])
@pytest.mark.parametrize("before", ["in a file", "sealed", "both"])
def test_no_fault_costs_a_key(before: str, effect: Effect) -> None:
    """Whatever call fails, or is the last, the next start has the key that was there; nothing is lost, and in the end
    it is sealed alone."""
    at, is_over = 0, False
    while not is_over:
        at += 1
        one = host(tpm=before != "in a file")
        was = key(one)
        if before == "both":
            one.machine.tree.put(CLEAR, service_key(one.restarted(), DIRECTORY, Event()).secret)
        one.machine.tpm = {}
        process = one.restarted(FaultPlan(at=at, effect=effect))
        with suppress(AgentError, Died):
            assert service_key(process, DIRECTORY, Event()).public == was
        is_over = len(process.faults.calls) < at
        assert key(one) == was
        assert key(one) == was
        assert one.files.exists(SEALED_FILE) and not one.files.exists(CLEAR) and not one.files.exists(LOST_FILE)
    assert at > 3
