# SPDX-License-Identifier: Apache-2.0
"""Erasing: every byte, proven by reading back; a drive that lies is found out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.apply.erase import erase_disk, leave_disk
from agent.errors import DiskInUse, EraseUnproven
from agent.host.fake import FakeDisk, FakeHost
from agent.model.disk import DiskIdentity
from agent.model.plan import EraseDisk, LeaveDisk
from agent.plan.erase import sample_offsets
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


def step(path: str, size_bytes: int = SIZE) -> EraseDisk:
    """Erase that disk."""
    disk = DiskIdentity(path=path, wwn=None, serial="S0", size_bytes=size_bytes, logical_sector_bytes=512)
    return EraseDisk(disk=disk, sample_offsets=sample_offsets(size_bytes), sample_bytes=MIB)


def fill(disk: FakeDisk) -> FakeDisk:
    """With somebody's data."""
    disk.write(0, b"\xff" * disk.size_bytes)
    disk.flush()
    return disk


def test_every_byte_is_gone() -> None:
    """The medium is blank, the kernel was told, and the result names the disk and the proof."""
    made, told = machine(SIZE), []
    disk = fill(disk_of(made))
    result = erase_disk(FakeHost.of(made), step("/dev/sda"), lambda done, total, _=None: told.append((done, total)))

    assert disk.durable.blank and disk.table_rereads == 1
    assert told[-1] == (SIZE, SIZE)
    assert result == {"erased S0": SIZE, "samples S0": len(sample_offsets(SIZE))}


def test_a_disk_that_is_left_is_reported() -> None:
    """The result names the disk that was passed over, and why."""
    assert leave_disk(LeaveDisk(disk=step("/dev/sda").disk, why="to be skipped by size 5")) == {
        "skipped S0": "to be skipped by size 5"
    }


@pytest.mark.parametrize("honest_until", [0, 512, SIZE // 2, SIZE - 512])
def test_drive_that_lies(honest_until: int) -> None:
    """A drive that leaves data, be it only in its last sector, is never called erased; the error names the byte."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = fill(LyingDisk(SIZE, honest_until=honest_until))
    with pytest.raises(EraseUnproven, match=r"byte [0-9]+ is not zero") as caught:
        erase_disk(FakeHost.of(made), step("/dev/sda"), lambda *_: None)

    assert caught.value.code == "DISK.ERASE_UNPROVEN"


@pytest.mark.root
def test_real_disk(tmp_path: Path) -> None:
    """On a real kernel every byte is zero afterwards, and the old partitions are gone from it, too."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    with loop(tmp_path, SIZE) as node:
        command("sfdisk", "--quiet", "--no-reread", node, stdin="label: gpt\nsize=8MiB\n")
        command("partx", "--update", node)
        before = partitions(node)
        erase_disk(host(), step(node), lambda *_: None)
        os.sync()

        assert (len(before), partitions(node)) == (1, [])
        assert (tmp_path / "disk").read_bytes() == bytes(SIZE)


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
                erase_disk(host(), step(node), lambda *_: None)

            assert (point / "precious").read_text() == "data"
        finally:
            command("umount", str(point))
