# SPDX-License-Identifier: Apache-2.0
"""Sealing: what cannot be proven does not boot."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields

import pytest

from agent.apply.seal import seal_disk
from agent.errors import DeviceError, DiskChanged, HostError, NotAsObserved
from agent.host.fake import Died, Effect, FakeDisk, FakeHost, FaultPlan, Machine
from agent.model.disk import DiskIdentity
from agent.model.partition_table import fit
from agent.model.plan import Partition, SealDisk
from tests.apply.disks import MIB, ForgetfulDisk, boots, disk_of, gpt_image, machine

SIZE = 96 * MIB
HEAD = "/run/spool/r1.head"
STEP = SealDisk(
    disk=DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=SIZE, logical_sector_bytes=512),
    head_path=HEAD,
    add=(Partition(label="config-2", offset_bytes=31 * MIB, size_bytes=64 * MIB),),
)


class BlindMachine(Machine):
    """Its kernel reads no partition tables."""

    def see_partitions(self, path: str, disk: FakeDisk) -> None:
        """No."""


@dataclass
class StubbornDisk(FakeDisk):
    """Fails to write its first sector."""

    def write(self, offset: int, data: bytes) -> None:
        """Not there."""
        if offset == 0:
            raise DeviceError("writing /dev/sda at byte 0", "EIO: Input/output error")
        super().write(offset, data)


def spooled(made: Machine, faults: FaultPlan | None = None) -> FakeHost:
    """A process on the machine, after the image was written."""
    FakeHost.of(made).files.write(HEAD, gpt_image()[:MIB])
    return FakeHost.of(made, faults)


def sealed(made: Machine) -> None:
    """Seal it."""
    seal_disk(spooled(made), STEP, lambda *_: None)


def test_sealed_disk_boots() -> None:
    """A disk that takes its head boots, and the head's file is gone."""
    made = machine(SIZE)
    sealed(made)

    assert boots(disk_of(made)) and not FakeHost.of(made).files.exists(HEAD)


def test_nothing_is_left_of_how_far_the_image_was() -> None:
    """What is sealed is nobody's to go on with: the last MiB holds the backup table alone."""
    made = machine(SIZE)
    disk_of(made).write(SIZE - MIB, b"record")
    sealed(made)
    tail = fit(gpt_image()[:MIB], SIZE, 512, STEP.add).tail

    assert disk_of(made).durable.read(SIZE - MIB, MIB) == tail.rjust(MIB, b"\0")


@dataclass
class Noting(FakeDisk):
    """Keeps no backup table, and says where it was written to."""

    def __post_init__(self) -> None:
        self.written_at: list[int] = []

    def write(self, offset: int, data: bytes) -> None:
        """But the end of it."""
        self.written_at.append(offset)
        if offset < SIZE - MIB:
            super().write(offset, data)


def test_all_else_is_there_before_the_first_sector() -> None:
    """A disk that did not keep the rest is never made to boot, not even until it is noticed."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = disk = Noting(size_bytes=SIZE, logical_sector_bytes=512)
    with pytest.raises(NotAsObserved, match="read back differs"):
        sealed(made)

    assert disk.written_at and 0 not in disk.written_at


@pytest.mark.parametrize("at", range(3, 26))
def test_a_disk_that_is_gone(at: int) -> None:
    """Whatever cannot be taken back any more, since the disk answers no more: it does not boot, or is whole."""
    made = machine(SIZE)
    with suppress(HostError):
        seal_disk(spooled(made, FaultPlan(at=at, effect=Effect.BREAK)), STEP, lambda *_: None)
    fitted = fit(gpt_image()[:MIB], SIZE, 512, STEP.add)
    medium = disk_of(made).durable

    assert not boots(disk_of(made)) or medium.read(0, MIB) == fitted.head
    assert not boots(disk_of(made)) or medium.read(SIZE - len(fitted.tail), len(fitted.tail)) == fitted.tail


def test_kernel_that_does_not_see() -> None:
    """If the kernel does not see the config drive where it should be, the head is taken back."""
    made = machine(SIZE)
    blind = BlindMachine(**{each.name: getattr(made, each.name) for each in fields(made)})
    with pytest.raises(NotAsObserved, match="does not see 'config-2'; the partitions it sees: none"):
        sealed(blind)

    assert not boots(disk_of(blind))


@pytest.mark.parametrize("from_byte", [0, SIZE // 2])
def test_disk_that_forgets(from_byte: int) -> None:
    """What is not on the medium when it is read back, head or backup, ends with a disk that does not boot."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = ForgetfulDisk(SIZE, from_byte=from_byte)
    with pytest.raises(NotAsObserved, match="read back differs"):
        sealed(made)

    assert not boots(disk_of(made))


def test_disk_that_fails() -> None:
    """A drive that refuses the head gives its own error."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = StubbornDisk(SIZE)
    with pytest.raises(DeviceError, match="EIO"):
        sealed(made)

    assert not boots(disk_of(made))


def calls_of_one_seal() -> int:
    """How many door calls it takes."""
    faults = FaultPlan()
    seal_disk(spooled(machine(SIZE), faults), STEP, lambda *_: None)
    return len(faults.calls)


@pytest.mark.parametrize("survivor", range(3))
@pytest.mark.parametrize("at", range(2, calls_of_one_seal() + 1))
def test_power_cut(at: int, survivor: int) -> None:
    """Whenever the power goes, and whichever one write of the drive's cache survives: a head is never without its
    backup table.
    """
    made = machine(SIZE)
    host = spooled(made, FaultPlan(at=at, effect=Effect.DIE_AFTER))
    with pytest.raises(Died):
        seal_disk(host, STEP, lambda *_: None)
    disk = disk_of(made)
    disk.cut_power(lambda number: number == survivor)
    tail = fit(gpt_image()[:MIB], SIZE, 512, STEP.add).tail

    assert not boots(disk) or disk.durable.read(SIZE - len(tail), len(tail)) == tail


@pytest.mark.parametrize("at", range(2, calls_of_one_seal() + 1))
def test_a_write_that_the_power_cut_tears(at: int) -> None:
    """Of what the drive had not flushed, the first sector alone is on the medium: it is there when all is there."""
    made = machine(SIZE)
    with pytest.raises(Died):
        seal_disk(spooled(made, FaultPlan(at=at, effect=Effect.DIE_AFTER)), STEP, lambda *_: None)
    disk = disk_of(made)
    torn = disk.content.read(0, 512)
    disk.cut_power(lambda _: False)
    disk.durable.write(0, torn)
    head = fit(gpt_image()[:MIB], SIZE, 512, STEP.add).head

    assert torn != head[:512] or disk.durable.read(0, MIB) == head


def test_no_head() -> None:
    """Without a head, because the image was never verified, nothing is sealed."""
    made = machine(SIZE)
    with pytest.raises(HostError, match=HEAD):
        seal_disk(FakeHost.of(made), STEP, lambda *_: None)

    assert not boots(disk_of(made))


def test_who_has_sealed_it_meanwhile() -> None:
    """A disk that begins with anything by now is another order's: its head is not put upon that, nor taken away."""
    made = machine(SIZE)
    disk_of(made).write(0, b"precious")
    with pytest.raises(DiskChanged):
        sealed(made)

    assert disk_of(made).read(0, 8) == b"precious"
