# SPDX-License-Identifier: Apache-2.0
"""Disks erased side by side: a dead one hides nothing of the others; a recall ends all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError, Semaphore

import pytest

from agent.apply.erase_many import erase_disks
from agent.errors import AgentError, DeviceError, EraseUnproven, HostError, Recalled
from agent.host.fake import FakeDisk, FakeHost, Machine
from agent.inventory.disk import disks
from agent.model.disk import DiskIdentity
from agent.model.plan import Area, EraseDisk, EraseDisks, Wipe
from agent.operations import Operations
from agent.plan.erasing import sample_offsets
from tests.apply.disks import MIB, disk_of, machine

SIZE = 8 * MIB


@dataclass
class Hooked(FakeDisk):
    """Does something before it zeroes."""

    hook: Callable[[], object] = lambda: None

    def zero(self, offset: int, length: int) -> None:
        """Then it zeroes."""
        self.hook()
        super().zero(offset, length)


def identity(number: int) -> DiskIdentity:
    """Of that disk."""
    path = f"/dev/sd{chr(ord('a') + number)}"
    return DiskIdentity(path=path, wwn=None, serial=f"S{number}", size_bytes=SIZE, logical_sector_bytes=512)


def erasing(number: int) -> EraseDisk:
    """All of it."""
    return EraseDisk(disk=identity(number), sample_offsets=sample_offsets(SIZE), sample_bytes=MIB)


def made(count: int, hooks: dict[int, Callable[[], object]] | None = None) -> Machine:
    """A machine whose disks are full."""
    has = machine(*[SIZE] * count)
    for number in range(count):
        disk = Hooked(SIZE)
        disk.write(0, b"\xff" * SIZE)
        disk.flush()
        disk.hook = (hooks or {}).get(number, disk.hook)
        has.disks[identity(number).path] = disk
    return has


def fail() -> None:
    """As a drive that is dead."""
    raise DeviceError("zeroing", "Input/output error")


def test_all_are_erased_and_told() -> None:
    """Each has its result, one that loses its metadata alone as well; progress ends at the sum of what is zeroed."""
    has, told = made(4), list[tuple[int, int | None]]()
    wipe = Wipe(disk=identity(3), areas=(Area(offset_bytes=0, length_bytes=MIB),))
    step = EraseDisks(erasures=(erasing(0), erasing(1), erasing(2), wipe), at_once=2)
    result = erase_disks(FakeHost.of(has), step, lambda done, total, _=None, /: told.append((done, total)))

    assert all(disk_of(has, identity(number).path).durable.blank for number in range(3))
    assert not any(disk_of(has, "/dev/sdd").durable.read(0, MIB))
    assert disk_of(has, "/dev/sdd").durable.read(MIB, 512) == b"\xff" * 512
    assert {f"erased S{number}" for number in range(3)} | {"wiped S3"} <= set(result)
    assert {total for _, total in told} == {3 * SIZE} and [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("at_once", [1, 3])
def test_as_many_at_once_as_asked(at_once: int) -> None:
    """Three that wait for each other all come through only if all three are at work."""
    gate = Barrier(3)

    def meet() -> None:
        try:
            gate.wait(timeout=0.5 if at_once == 1 else 20)
        except BrokenBarrierError:
            raise DeviceError("zeroing", "alone") from None

    has = made(3, dict.fromkeys(range(3), meet))
    step = EraseDisks(erasures=tuple(map(erasing, range(3))), at_once=at_once)
    if at_once == 3:
        found = erase_disks(FakeHost.of(has), step, lambda *_: None)
        assert sum(fact.startswith("erased ") for fact in found) == 3
    else:
        with pytest.raises(HostError, match="alone"):
            erase_disks(FakeHost.of(has), step, lambda *_: None)


def test_a_dead_disk_hides_nothing() -> None:
    """The error has every disk that failed, and each that is erased all the same; the others are blank."""
    has = made(4, {0: fail, 2: fail})
    with pytest.raises(HostError) as caught:
        erase_disks(FakeHost.of(has), EraseDisks(erasures=tuple(map(erasing, range(4))), at_once=2), lambda *_: None)

    assert str(caught.value).count("Input/output error") == 2
    assert "S1 erased by zero, S3 erased by zero" in str(caught.value)
    assert "S0 erased" not in str(caught.value)
    assert [disk_of(has, identity(number).path).durable.blank for number in range(4)] == [False, True, False, True]


def test_a_lie_is_not_hidden_either() -> None:
    """A drive that says it zeroed, and did not, fails the step though all others are good."""
    has = made(2)
    has.disks["/dev/sda"] = Deaf(SIZE)
    has.disks["/dev/sda"].write(0, b"\xff" * SIZE)
    with pytest.raises(HostError, match="canaries are still there") as caught:
        erase_disks(FakeHost.of(has), EraseDisks(erasures=(erasing(0), erasing(1)), at_once=4), lambda *_: None)

    assert isinstance(caught.value.__cause__, EraseUnproven)


@dataclass
class Deaf(FakeDisk):
    """Zeroes nothing."""

    def zero(self, offset: int, length: int) -> None:
        """Nothing."""


def test_a_recall_ends_all() -> None:
    """Disks that wait are not begun on, and the recall is what is told."""
    has = made(6)
    orders = iter([None])

    def advance(*_: object) -> None:
        if next(orders, "no more") is not None:
            raise Recalled("erasing", "called off")

    held = Barrier(2)
    slow = has.disks["/dev/sda"]
    assert isinstance(slow, Hooked)
    slow.hook = lambda: pause(held)
    with pytest.raises(AgentError, match="called off"):
        erase_disks(FakeHost.of(has), EraseDisks(erasures=tuple(map(erasing, range(6))), at_once=1), advance)

    assert not disk_of(has, "/dev/sdf").durable.blank


def test_a_recall_waits_with_signs_of_life() -> None:
    """A drive that is at it is waited for, as long as it takes; whoever watches hears of us all that time, and it is
    the recall that is told in the end.
    """
    has, signs = made(1), Semaphore(0)

    def advance(*_: object) -> None:
        signs.release()
        raise Recalled("erasing", "called off")

    heard: list[bool] = []
    slow = disk_of(has)
    assert isinstance(slow, Hooked)
    slow.hook = lambda: heard.append(all(signs.acquire(timeout=20) for _ in range(3)))
    with pytest.raises(Recalled):
        erase_disks(FakeHost.of(has), EraseDisks(erasures=(erasing(0),), at_once=1), advance)

    assert heard[0]


def pause(held: Barrier) -> None:
    """Until the recall has had its time: nobody else comes."""
    try:
        held.wait(timeout=1.2)
    except BrokenBarrierError:
        return


def test_a_disk_that_became_another_while_it_waited() -> None:
    """It is left as it is, and named; the others are erased."""
    has = made(2)

    def swap() -> None:
        has.tree.put("/sys/block/sdb/size", str(2 * SIZE // 512).encode())

    first = disk_of(has)
    assert isinstance(first, Hooked)
    first.hook = swap
    host = FakeHost.of(has)
    step = EraseDisks(erasures=(erasing_of(host, 0), erasing_of(host, 1)), at_once=1)
    with pytest.raises(HostError, match=r"looking at /dev/sdb.* again: now it is"):
        Operations(host, None, "/spool").do(step, lambda *_: None)

    assert disk_of(has).durable.blank and disk_of(has, "/dev/sdb").durable.read(0, 512) == b"\xff" * 512


def erasing_of(host: FakeHost, number: int) -> EraseDisk:
    """As it is observed."""
    return EraseDisk(disk=disks(host)[number].identity, sample_offsets=(0,), sample_bytes=512)
