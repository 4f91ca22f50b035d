# SPDX-License-Identifier: Apache-2.0
"""A disk as its image will have it: what is allocated as it is, all else zero, and a head of its own.

What is free is never handed on, even where it shares a read with what is not: deleted files stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from agent.host.doors import BlockDevice
from agent.host.memory import ALIGNMENT_BYTES
from agent.model.filesystem.extents import Extents

GAP_BYTES = 128 * 1024
"""A gap that is shorter is read and wiped: two reads would take longer."""


class View:
    """`agent.apply.chunked.pack.Readable`; any thread may read."""

    def __init__(self, device: BlockDevice, extents: Extents, size_bytes: int, head: bytes = b"") -> None:
        """`head` stands in the place of the device's beginning, where it is given."""
        self._device = device
        self._extents = extents
        self._head = head
        self._lock = Lock()
        self.size_bytes = size_bytes
        self.read_bytes = 0

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """What is allocated."""
        return iter(self._extents)

    def read_into(self, offset_bytes: int, view: memoryview, /) -> None:
        """Fill the view. Raises `DeviceError`."""
        end = offset_bytes + len(view)
        filled = offset_bytes
        for start, stop in self._reads(offset_bytes, end):
            view[filled - offset_bytes : start - offset_bytes] = bytes(start - filled)
            self._device.read_into(start, view[start - offset_bytes : stop - offset_bytes])
            self._wipe(offset_bytes, start, stop, view)
            filled = stop
        view[filled - offset_bytes :] = bytes(end - filled)
        if offset_bytes < len(self._head):
            piece = self._head[offset_bytes:end]
            view[: len(piece)] = piece

    def _reads(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of reads that cover what is allocated: whole pages, so that none needs a copy."""
        start = stop = offset
        for taken, behind in self._extents.within(offset, end):
            first = max(taken // ALIGNMENT_BYTES * ALIGNMENT_BYTES, offset)
            last = min(-(-behind // ALIGNMENT_BYTES) * ALIGNMENT_BYTES, end)
            if first > stop + GAP_BYTES:
                if stop > start:
                    yield start, stop
                start = first
            elif stop == start:
                start = first
            stop = max(stop, last)
        if stop > start:
            yield start, stop

    def _wipe(self, offset: int, start: int, stop: int, view: memoryview) -> None:
        """What is free within a read; and count what was read."""
        at = start
        for first, last in self._extents.within(start, stop):
            view[at - offset : first - offset] = bytes(first - at)
            at = last
        view[at - offset : stop - offset] = bytes(stop - at)
        with self._lock:
            self.read_bytes += stop - start
