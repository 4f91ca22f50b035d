# SPDX-License-Identifier: Apache-2.0
"""What is on a disk: the proof of a wipe must see a single byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.disk import allocated_bytes, first_nonzero_byte, is_bootable

SIZE_BYTES = 64 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse disk."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE_BYTES)
    return path


def put(disk: Path, offset: int, content: bytes) -> None:
    """Write there."""
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_sparse_disk_is_empty(disk: Path) -> None:
    """Holes are zeroes."""
    assert first_nonzero_byte(disk) is None


def test_written_zeroes_are_empty(disk: Path) -> None:
    """A disk that was overwritten with zeroes is as empty as one that was never written."""
    put(disk, 0, bytes(3 << 20))

    assert allocated_bytes(disk) >= 3 << 20
    assert first_nonzero_byte(disk) is None


@pytest.mark.parametrize("offset", [0, 1, 511, (1 << 20) - 1, 1 << 20, (5 << 20) + 7, SIZE_BYTES - 1])
def test_one_byte_anywhere_is_found(disk: Path, offset: int) -> None:
    """One byte that survived a wipe is found and its place told, even amid written zeroes."""
    put(disk, 4 << 20, bytes(2 << 20))
    put(disk, offset, b"\x01")

    assert first_nonzero_byte(disk) == offset


@pytest.mark.parametrize(
    ("offset", "content", "bootable"),
    [(0, b"\0", False), (510, b"\x55\xaa", True), (512, b"EFI PART", True), (1 << 20, b"\x55\xaa", False)],
)
def test_what_firmware_would_start(disk: Path, offset: int, content: bytes, bootable: bool) -> None:
    """A boot sector's mark or a GPT makes a disk bootable; data further on does not."""
    put(disk, offset, content)

    assert is_bootable(disk) is bootable
