# SPDX-License-Identifier: Apache-2.0
"""Erasing a disk by writing: every byte, canaries before, samples after; a drive that lies is found out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.apply.erase import leave_disk
from agent.apply.erasing import erase
from agent.errors import DeviceError, DiskInUse
from agent.host.fake import FakeDisk, FakeHost
from agent.model.disk import DiskIdentity
from agent.model.erasing import Erasure, Means
from agent.model.plan import EraseDisk, LeaveDisk
from agent.plan.erasing import sample_offsets
from tests.apply.disks import MIB, disk_of, machine
from tests.apply.real import host, partitions
from tests.loops import command, loop

SIZE = 96 * MIB


@dataclass
class LyingDisk(FakeDisk):
    """Says that it zeroed, and did not from `honest_until` on."""

    honest_until: int = 0

    def zero(self, offset: int, length: int) -> None:
        """Well, up to there."""
        super().zero(offset, max(min(length, self.honest_until - offset), 0))


@dataclass
class DeadDisk(FakeDisk):
    """Can be read, and not be written."""

    def write(self, offset: int, data: bytes) -> None:
        """Not."""
        raise DeviceError("writing", "Input/output error")

    def zero(self, offset: int, length: int) -> None:
        """Nor this."""
        raise DeviceError("zeroing", "Input/output error")


@dataclass
class PendingDisk(FakeDisk):
    """Has a sector that cannot be read before it is written."""

    is_mended: bool = False

    def read(self, offset: int, length: int) -> bytes:
        """But for that one."""
        if offset <= SIZE // 2 < offset + length and not self.is_mended:
            raise DeviceError("reading", "Unrecovered read error")
        return super().read(offset, length)

    def zero(self, offset: int, length: int) -> None:
        """Which mends it."""
        self.is_mended = True
        super().zero(offset, length)


@dataclass
class StaleDisk(FakeDisk):
    """Takes everything, and reads as it was when `stale` was set."""

    stale: bool = False

    def zero(self, offset: int, length: int) -> None:
        """From here on."""
        self.stale = True

    def write(self, offset: int, data: bytes) -> None:
        """Kept, before that."""
        if not self.stale:
            super().write(offset, data)


def step(path: str, size_bytes: int = SIZE, *means: Means) -> EraseDisk:
    """Erase that disk."""
    disk = DiskIdentity(path=path, wwn=None, serial="S0", size_bytes=size_bytes, logical_sector_bytes=512)
    return EraseDisk(
        disk=disk, sample_offsets=sample_offsets(size_bytes), sample_bytes=MIB, means=means or (Means.ZERO,)
    )


def fill(disk: FakeDisk) -> FakeDisk:
    """With somebody's data."""
    FakeDisk.write(disk, 0, b"\xff" * disk.size_bytes)
    disk.flush()
    return disk


def erased(disk: FakeDisk, *means: Means) -> Erasure:
    """What comes of it."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = fill(disk)
    return erase(FakeHost.of(made), step("/dev/sda", SIZE, *means), lambda *_: None)


def test_every_byte_is_gone() -> None:
    """The medium is blank, the kernel was told, and the result has canaries, samples and NIST's word for it."""
    made, told = machine(SIZE), []
    disk = fill(disk_of(made))
    done = erase(FakeHost.of(made), step("/dev/sda"), lambda done, total, _=None: told.append((done, total)))

    assert disk.durable.blank and disk.table_rereads == 1
    assert told[-1] == (SIZE, SIZE)
    count = len(sample_offsets(SIZE))
    assert (done.outcome, done.means, done.nist) == ("erased", Means.ZERO, "clear"), done.evidence
    assert (done.samples.canaries, done.samples.read, done.samples.zero) == (count, count, count)


def test_a_disk_that_is_left_is_reported() -> None:
    """The result names the disk that was passed over, and why."""
    assert leave_disk(LeaveDisk(disk=step("/dev/sda").disk, why="to be skipped by size 5")) == {
        "skipped S0": "to be skipped by size 5"
    }


@pytest.mark.parametrize("honest_until", [0, 512, SIZE // 2, SIZE - 512])
def test_drive_that_lies(honest_until: int) -> None:
    """A drive that leaves data, be it only in its last sector, is never called erased; the place is named."""
    done = erased(LyingDisk(SIZE, honest_until=honest_until))

    assert done.outcome == "failed" and "at byte " in done.evidence and done.nist == "none"


def test_drive_that_reads_what_was() -> None:
    """One whose reads give what stood there before is found out by the canaries."""
    done = erased(StaleDisk(SIZE))

    assert done.outcome == "failed" and done.samples.survived == done.samples.canaries > 0


def test_dead_drive() -> None:
    """One that takes no writes has failed, and says of what."""
    done = erased(DeadDisk(SIZE))

    assert (done.outcome, done.means) == ("failed", None) and "Input/output error" in done.evidence


def test_a_place_that_cannot_be_read_before() -> None:
    """A sector that is bad until it is written costs its own canary, not the proof."""
    done = erased(PendingDisk(SIZE))

    assert done.outcome == "erased" and done.samples.canaries == done.samples.read - 1


def test_a_hint_proves_nothing() -> None:
    """What a drive was asked to discard is unproven, also where every sample is zero."""
    done = erased(FakeDisk(SIZE), Means.DISCARD)

    assert (done.outcome, done.nist) == ("unproven", "none") and done.samples.zero == done.samples.read


@pytest.mark.root
def test_real_disk(tmp_path: Path) -> None:
    """On a real kernel every byte is zero afterwards, and the old partitions are gone from it, too."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    with loop(tmp_path, SIZE) as node:
        command("sfdisk", "--quiet", "--no-reread", node, stdin="label: gpt\nsize=8MiB\n")
        command("partx", "--update", node)
        before = partitions(node)
        done = erase(host(), step(node), lambda *_: None)
        os.sync()

        assert (len(before), partitions(node), done.outcome) == (1, [], "erased")
        assert done.samples.canaries == len(sample_offsets(SIZE))
        assert (tmp_path / "disk").read_bytes() == bytes(SIZE)


@pytest.mark.root
def test_real_discard(tmp_path: Path) -> None:
    """The hint goes through to the kernel, which gives a loop device's blocks back; it is unproven all the same."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    with loop(tmp_path, SIZE) as node:
        done = erase(host(), step(node, SIZE, Means.DISCARD), lambda *_: None)
        os.sync()

        assert (done.outcome, done.samples.zero) == ("unproven", done.samples.read)
        assert (tmp_path / "disk").stat().st_blocks == 0


@pytest.mark.root
def test_mounted_disk(tmp_path: Path) -> None:
    """A disk that was mounted since the plan was made keeps its data."""
    point = tmp_path / "mounted"
    point.mkdir()
    with loop(tmp_path, SIZE) as node:
        command("mkfs.ext4", "-q", node)
        command("mount", node, str(point))
        try:
            (point / "precious").write_text("data")
            with pytest.raises(DiskInUse):
                erase(host(), step(node), lambda *_: None)

            assert (point / "precious").read_text() == "data"
        finally:
            command("umount", str(point))
