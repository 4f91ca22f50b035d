# SPDX-License-Identifier: Apache-2.0
"""The disk as an image is written to it, from any place, by several threads: below a limit, and without its head.

The head (the first MiB) stays in memory: it is handed on when all else is verified. Runs of zeroes are zeroed by the
device and not written.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from agent.apply.meter import Meter, Stage
from agent.errors import ImageTooLarge
from agent.host.doors import BlockDevice
from agent.host.memory import aligned
from agent.model.disk import MIB

GRAIN_BYTES = 64 * 1024
ZEROES = bytes(MIB)


class Target:
    """A disk that takes an image. `end_bytes` is how far the image reached so far."""

    def __init__(self, disk: BlockDevice, head: bytearray, limit_bytes: int, meter: Meter, doing: str) -> None:
        """`head` is filled with what belongs before `len(head)`, whole grains; nothing is written there."""
        self.disk = disk
        self._head = head
        self._limit = limit_bytes
        self._meter = meter
        self._doing = doing
        self._lock = Lock()
        self.end_bytes = 0

    def put(self, offset_bytes: int, view: memoryview) -> None:
        """Data whose holes, if it has any, are not looked for. Raises `ImageTooLarge`, `DeviceError`."""
        self.reach(offset_bytes + len(view))
        skip = min(max(len(self._head) - offset_bytes, 0), len(view))
        self._head[offset_bytes : offset_bytes + skip] = view[:skip]
        if skip < len(view):
            self._write(offset_bytes + skip, view[skip:])

    def put_sparse(self, offset_bytes: int, view: memoryview) -> None:
        """Data at a whole grain; what of it is zero is zeroed, not written."""
        for start, end, is_hole in runs(view):
            if is_hole:
                self.zero(offset_bytes + start, end - start)
            else:
                self.put(offset_bytes + start, view[start:end])

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Make this range zero; whole sectors, but for its end, and for a beginning where data ended that was put."""
        end = offset_bytes + length_bytes
        self.reach(end)
        kept = min(end, len(self._head))
        if offset_bytes < kept:
            self._head[offset_bytes:kept] = bytes(kept - offset_bytes)
        start = self._whole(max(offset_bytes, len(self._head)))
        if start < end:
            with self._meter.busy(Stage.DISK):
                self.disk.zero(start, self._whole(end) - start)

    def clear_what_follows(self) -> None:
        """A MiB behind the image, and the last before the limit: a root partition that grows up to there must not end
        in an old superblock. RAID members and ZFS keep theirs within the last MiB of a device.
        """
        start = self._whole(self.end_bytes)
        if start < self._limit:
            self.disk.zero(start, min(MIB, self._limit - start))
            last = max(start, self._limit - MIB)
            self.disk.zero(last, self._limit - last)

    def flush(self) -> None:
        """All that was put is on the medium, or an error says that it is not."""
        with self._meter.busy(Stage.DISK):
            self.disk.flush()

    def reach(self, end: int) -> None:
        """The image goes on to there. Raises `ImageTooLarge`."""
        if end > self._limit:
            raise ImageTooLarge(self._doing, f"it reaches past byte {self._limit} of the disk")
        with self._lock:
            self.end_bytes = max(self.end_bytes, end)

    def _write(self, offset: int, view: memoryview) -> None:
        whole = len(view) // self.disk.logical_sector_bytes * self.disk.logical_sector_bytes
        with self._meter.busy(Stage.DISK, len(view)):
            if whole:
                self.disk.write(offset, view[:whole])
            if whole < len(view):  # an image that ends within a sector: the rest of it is zero
                last = aligned(self.disk.logical_sector_bytes)
                last[: len(view) - whole] = view[whole:]
                self.disk.write(offset + whole, last)

    def _whole(self, end: int) -> int:
        sector = self.disk.logical_sector_bytes
        return -(-end // sector) * sector


def make_unbootable(disk: BlockDevice, head_bytes: int) -> None:
    """Zero both ends: tables, boot code, RAID signatures. Nothing of the old disk may boot beside the new data."""
    disk.zero(0, head_bytes)
    last = (disk.size_bytes - MIB) // disk.logical_sector_bytes * disk.logical_sector_bytes
    disk.zero(last, disk.size_bytes - last)
    disk.flush()


def runs(view: memoryview) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is all zero) of like grains, in order."""
    start, size = 0, len(view)
    while start < size:
        hole = is_hole(view[start : start + GRAIN_BYTES])
        end = start + GRAIN_BYTES
        while end < size and is_hole(view[end : end + GRAIN_BYTES]) == hole:
            end += GRAIN_BYTES
        yield start, min(end, size), hole
        start = end


def is_hole(view: memoryview) -> bool:
    """Whether it is all zero; at most a MiB. `startswith` compares where the bytes are (memcmp), up to the first."""
    return len(view) <= len(ZEROES) and ZEROES.startswith(view)
