# SPDX-License-Identifier: Apache-2.0
"""Filesystems made and filled by the real tools, as files; and reading them as the agent does."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.model.filesystem import Extent, Filesystem, Read, bounded
from agent.model.filesystem.known import kind_of, open_filesystem
from tests.loops import command

MIB = 1024 * 1024


def reading(path: Path) -> tuple[Read, int]:
    """`read` and the size of a file."""
    size = path.stat().st_size
    fd = os.open(path, os.O_RDONLY)

    def read(offset: int, length: int) -> bytes:
        return os.pread(fd, length, offset)

    return bounded(read, size), size


def parsed(path: Path) -> Filesystem:
    """The filesystem in a file."""
    read, size = reading(path)
    found = open_filesystem(read, size, kind_of(read, size))
    assert found is not None
    return found


def total(extents: Iterator[Extent]) -> int:
    """Bytes of all."""
    return sum(length for _, length in extents)


def blank(path: Path, mib: int) -> Path:
    """A sparse file."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.truncate(mib * MIB)
    return path


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Path]:
    """Its tree, for the while."""
    place = path.with_suffix(".mount")
    place.mkdir(exist_ok=True)
    command("mount", "-o", ",".join(["loop", *options]), str(path), str(place))
    try:
        yield place
    finally:
        command("umount", str(place))


def fill(place: Path, *, seed: int = 1) -> None:
    """Many files of all sizes, of which every other one goes again: free space in pieces, with old content in it."""
    noise = random.Random(seed)
    for number in range(120):
        file = place / f"d{number % 7}" / f"file-{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(noise.randbytes(noise.choice((10, 5_000, 70_000, 400_000))))
    os.sync()
    for number in range(0, 120, 2):
        (place / f"d{number % 7}" / f"file-{number}").unlink()


def without_free_space(path: Path) -> Path:
    """A copy that has nothing but the bytes that are said to be in use."""
    read, size = reading(path)
    copy = blank(path.with_suffix(".copy"), size // MIB)
    with copy.open("r+b") as file:
        for offset, length in parsed(path).used():
            for at in range(offset, offset + length, MIB):
                file.seek(at)
                file.write(read(at, min(MIB, offset + length - at)))
    return copy
