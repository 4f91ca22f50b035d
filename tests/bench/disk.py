# SPDX-License-Identifier: Apache-2.0
"""The target of every writer: a loop device with direct I/O over a file on a local disk.

Before each run every block of the file is given back, for all writers alike: what is written is allocated anew, and
zeroing a hole costs as little as on a disk that unmaps. A run is over when the device and its file are flushed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.loops import command

MIB = 1024**2
PIECE_BYTES = 4 * MIB


@dataclass(frozen=True)
class Disk:
    """A loop device and its file."""

    node: str
    file: Path

    def reset(self) -> None:
        """Nothing is on it, and nothing is under way."""
        subprocess.run(["partx", "--delete", self.node], check=False, capture_output=True)
        command("blockdev", "--flushbufs", self.node)
        command("fallocate", "--punch-hole", "--offset", "0", "--length", str(self.file.stat().st_size), str(self.file))
        self.flush()

    def flush(self) -> None:
        """What was written is on the disk below."""
        for path in (self.node, self.file):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


@contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[Disk]:
    """A new one; gone at the end."""
    file = folder / "target"
    file.unlink(missing_ok=True)
    file.touch()
    os.truncate(file, size_bytes)
    node = command("losetup", "--direct-io=on", "--partscan", "--find", "--show", str(file)).strip()
    try:
        is_direct = Path(f"/sys/block/{Path(node).name}/loop/dio").read_text().strip() == "1"
        assert is_direct, f"{node} cannot do direct I/O over {file}"
        yield Disk(node, file)
    finally:
        subprocess.run(["partx", "--delete", node], check=False, capture_output=True)
        command("losetup", "--detach", node)
        file.unlink()


def read_once(file: Path) -> None:
    """Then it is in the page cache, and who serves it waits for no disk."""
    piece = bytearray(PIECE_BYTES)
    with file.open("rb", buffering=0) as source:
        for first, last in data_extents(source.fileno(), 0, file.stat().st_size):
            for offset in range(first, last, PIECE_BYTES):
                os.preadv(source.fileno(), [piece], offset)


def first_difference(image: Path, disk_file: Path, start: int, end: int) -> int | None:
    """Where two sparse files differ between these offsets."""
    with image.open("rb", buffering=0) as one, disk_file.open("rb", buffering=0) as other:
        extents = sorted({*data_extents(one.fileno(), start, end), *data_extents(other.fileno(), start, end)})
        done = start
        for first, last in extents:
            at = max(first, done)
            while at < last:
                size = min(PIECE_BYTES, last - at)
                wanted, found = (os.pread(file.fileno(), size, at) for file in (one, other))
                if wanted != found:
                    return at + next(index for index in range(size) if wanted[index] != found[index])
                at += size
            done = max(done, last)
    return None


def data_extents(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What is not a hole (lseek(2)), cut to these offsets."""
    at = start
    while at < end:
        try:
            first = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        at = os.lseek(fd, first, os.SEEK_HOLE)
        if first < end:
            yield first, min(at, end)
