# SPDX-License-Identifier: Apache-2.0
"""Sealing: what cannot be proven does not boot."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from agent.apply.seal import seal_disk
from agent.errors import DeviceError, HostError, NotAsObserved
from agent.host.fake import FakeDisk, FakeHost, Machine
from agent.model.disk import DiskIdentity
from agent.model.plan import Partition, SealDisk
from tests.apply.disks import MIB, boots, disk_of, gpt_image, machine

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
class ForgetfulDisk(FakeDisk):
    """Takes writes from `from_byte` on, and does not keep them."""

    from_byte: int = 0

    def write(self, offset: int, data: bytes) -> None:
        """Kept, or not."""
        if offset < self.from_byte:
            super().write(offset, data)


@dataclass
class StubbornDisk(FakeDisk):
    """Fails to write its first sector."""

    def write(self, offset: int, data: bytes) -> None:
        """Not there."""
        if offset == 0:
            raise DeviceError("writing /dev/sda at byte 0", "EIO: Input/output error")
        super().write(offset, data)


def spooled(made: Machine) -> FakeHost:
    """A process on the machine, after the image was written."""
    host = FakeHost.of(made)
    host.files.write(HEAD, gpt_image()[:MIB])
    return host


def sealed(made: Machine) -> None:
    """Seal it."""
    seal_disk(spooled(made), STEP, lambda done, total: None)


def test_sealed_disk_boots() -> None:
    """A disk that takes its head boots, and the head's file is gone."""
    made = machine(SIZE)
    sealed(made)

    assert boots(disk_of(made)) and not FakeHost.of(made).files.exists(HEAD)


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


def test_no_head() -> None:
    """Without a head, because the image was never verified, nothing is sealed."""
    made = machine(SIZE)
    with pytest.raises(HostError, match=HEAD):
        seal_disk(FakeHost.of(made), STEP, lambda done, total: None)

    assert not boots(disk_of(made))
