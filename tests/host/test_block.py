# SPDX-License-Identifier: Apache-2.0
"""The block door, on loop devices of the real kernel."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError, DeviceError, DiskInUse, DiskReadOnly
from agent.host.block import BUFFER_BYTES, RealBlock
from tests.loops import command, loop

MIB = 1024 * 1024
SIZE = 24 * MIB

pytestmark = pytest.mark.root


@pytest.fixture(params=[512, 4096])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A disk with that sector size."""
    with loop(tmp_path, SIZE, sector_bytes=request.param) as node:
        yield node


def content(tmp_path: Path) -> bytes:
    """What is behind the device."""
    return (tmp_path / "disk").read_bytes()


def test_geometry(disk: str) -> None:
    """Size and sector size are the kernel's."""
    with RealBlock().open_read(disk) as device:
        assert device.size_bytes == SIZE
        assert device.logical_sector_bytes == int(command("blockdev", "--getss", disk))


def test_bytes_arrive(disk: str, tmp_path: Path) -> None:
    """What is written, longer than the buffer and from memory of any alignment, is on the medium byte for byte."""
    data = random.Random(1).randbytes(2 * BUFFER_BYTES + 3 * 4096)
    with RealBlock().open_exclusive(disk) as device:
        device.write(8192, memoryview(b"x" + data)[1:])
        device.flush()
        back = device.read(8192, len(data))

    assert back == data
    assert content(tmp_path) == bytes(8192) + data + bytes(SIZE - 8192 - len(data))


def test_any_range_can_be_read(disk: str, tmp_path: Path) -> None:
    """A range that begins and ends within sectors is read exactly."""
    (tmp_path / "disk").write_bytes(random.Random(2).randbytes(SIZE))
    whole = content(tmp_path)
    with RealBlock().open_read(disk) as device:
        for offset, length in [(0, 1), (4095, 2), (511, 8193), (SIZE - 3, 3), (MIB - 1, BUFFER_BYTES + 2), (7, 0)]:
            assert device.read(offset, length) == whole[offset : offset + length]


def test_zeroing_is_exact(disk: str, tmp_path: Path) -> None:
    """Zeroing leaves no old byte in the range and touches none beside it."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    with RealBlock().open_exclusive(disk) as device:
        device.zero(4096, 5 * MIB)
        device.flush()
        assert device.read(4096, 5 * MIB) == bytes(5 * MIB)

    assert content(tmp_path) == b"\xff" * 4096 + bytes(5 * MIB) + b"\xff" * (SIZE - 5 * MIB - 4096)


def test_zeroing_by_the_device_frees_space(disk: str, tmp_path: Path) -> None:
    """Where the device can make zeroes, none are written: the sparse file behind it gives its space back."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    with RealBlock().open_exclusive(disk) as device:
        device.zero(0, SIZE)
        device.flush()
    os.sync()

    assert (tmp_path / "disk").stat().st_blocks * 512 < MIB


def test_what_a_reader_of_the_page_cache_sees(disk: str) -> None:
    """Whoever had the old bytes in the page cache (the kernel, udev) sees the new ones afterwards."""
    with Path(disk).open("rb", buffering=0) as cached:
        assert cached.read(MIB) == bytes(MIB)
        with RealBlock().open_exclusive(disk) as device:
            device.write(0, b"\xaa" * MIB)
            device.flush()
            cached.seek(0)
            assert cached.read(MIB) == b"\xaa" * MIB
            device.zero(0, MIB)
            cached.seek(0)
            assert cached.read(MIB) == bytes(MIB)


def test_reads_come_from_the_medium(disk: str, tmp_path: Path) -> None:
    """What the page cache remembers of a disk proves nothing: a read asks the disk itself."""
    with RealBlock().open_read(disk) as device, (tmp_path / "disk").open("r+b") as behind:
        assert device.read(MIB, 4096) == bytes(4096)
        behind.seek(MIB)
        behind.write(b"\xaa" * 4096)
        behind.flush()

        assert device.read(MIB, 4096) == b"\xaa" * 4096


@pytest.mark.parametrize("place", [(1, 4096), (0, 100), (SIZE, 4096), (SIZE - 4096, 8192), (-4096, 4096)])
def test_no_half_sectors_and_nothing_outside(disk: str, tmp_path: Path, place: tuple[int, int]) -> None:
    """A write or zeroing that is not of whole sectors inside the device is refused before anything is touched."""
    offset, length = place
    with RealBlock().open_exclusive(disk) as device:
        with pytest.raises(DeviceError, match="not whole sectors"):
            device.write(offset, b"x" * length)
        with pytest.raises(DeviceError, match="not whole sectors"):
            device.zero(offset, length)

    assert content(tmp_path) == bytes(SIZE)


def test_reading_past_the_end(disk: str) -> None:
    """A read that reaches past the end is an error, not fewer bytes."""
    with RealBlock().open_read(disk) as device, pytest.raises(DeviceError, match="ends at byte"):
        device.read(SIZE - 4096, 8192)


def test_only_one_writer(disk: str) -> None:
    """Two cannot have one disk exclusively; afterwards it is free again."""
    with RealBlock().open_exclusive(disk), pytest.raises(DiskInUse, match=disk), RealBlock().open_exclusive(disk):
        pass
    with RealBlock().open_exclusive(disk):
        pass


def test_mounted_disk(tmp_path: Path) -> None:
    """A mounted disk cannot be opened for writing, and can be read."""
    point = tmp_path / "mounted"
    point.mkdir()
    with loop(tmp_path, SIZE) as node:
        command("mkfs.ext4", "-q", node)
        command("mount", node, str(point))
        try:
            with pytest.raises(DiskInUse, match="busy"), RealBlock().open_exclusive(node):
                pass
            with RealBlock().open_read(node) as device:
                assert device.read(1024 + 56, 2) == b"\x53\xef"  # ext4's magic
        finally:
            command("umount", str(point))


def test_mounted_partition(tmp_path: Path) -> None:
    """A disk with a mounted partition cannot be opened for writing."""
    point = tmp_path / "mounted"
    point.mkdir()
    with loop(tmp_path, SIZE) as node:
        command("sfdisk", "--quiet", "--no-reread", node, stdin="label: gpt\nstart=2048, size=30000\n")
        command("partx", "--update", node)
        command("mkfs.ext4", "-q", f"{node}p1")
        command("mount", f"{node}p1", str(point))
        try:
            with pytest.raises(DiskInUse), RealBlock().open_exclusive(node):
                pass
        finally:
            command("umount", str(point))


def test_read_only_disk(tmp_path: Path) -> None:
    """A write-protected disk is refused as what it is."""
    with (
        loop(tmp_path, SIZE, read_only=True) as node,
        pytest.raises(DiskReadOnly, match=node),
        RealBlock().open_exclusive(node),
    ):
        pass


@pytest.mark.parametrize("path", ["/dev/no-such-disk", "/dev/null", "/etc/hostname"])
def test_what_is_no_disk(path: str) -> None:
    """A node that is not there, or no block device, is an error of ours and no other."""
    with pytest.raises(AgentError), RealBlock().open_exclusive(path):
        pass


def test_reading_the_table_again(disk: str) -> None:
    """The kernel takes the order, and sees the partition if it can read tables at all."""
    command("sfdisk", "--quiet", "--no-reread", disk, stdin="label: gpt\nsize=8MiB\n")
    with RealBlock().open_exclusive(disk) as device:
        device.reread_table()


def test_nothing_stays_open(disk: str) -> None:
    """Hundreds of disks are opened in an agent's life: no file descriptor is left behind, also after an error."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with RealBlock().open_exclusive(disk) as device:
            device.read(0, 4096)
            with pytest.raises(DiskInUse), RealBlock().open_exclusive(disk):
                pass

    assert len(list(Path("/proc/self/fd").iterdir())) == before
