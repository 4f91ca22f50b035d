# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a disk hold data: extents in little memory, asked for by place from any thread. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from agent.errors import DecodeError
from agent.model.filesystem import Extent, less

MOST = 1 << 22
"""64 MiB of memory. A partition that would make it more is taken whole."""


class Extents:
    """Ascending, without overlap, neighbours joined."""

    def __init__(self) -> None:
        self._starts, self._ends = array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Extent]:
        """(offset, length), from the first to the last."""
        return ((start, end - start) for start, end in zip(self._starts, self._ends, strict=True))

    @property
    def total_bytes(self) -> int:
        """Of all."""
        return sum(self._ends) - sum(self._starts)

    def add(self, extents: Iterable[Extent]) -> None:
        """Behind what is there. Raises `DecodeError`, and is then as it was before."""
        count = len(self)
        last = self._ends[-1] if count else 0
        try:
            for offset, length in extents:
                self._put(offset, length)
        except DecodeError:
            del self._starts[count:], self._ends[count:]
            if count:
                self._ends[-1] = last
            raise

    def without(self, others: Iterable[Extent]) -> Extents:
        """What of it is in none of the others, which ascend."""
        left = Extents()
        left.add(less(self, others))
        return left

    def _put(self, offset: int, length: int) -> None:
        if self._ends and offset < self._ends[-1]:
            raise DecodeError("mapping the disk", f"bytes from {offset} on are there twice")
        if self._ends and offset == self._ends[-1]:
            self._ends[-1] += length
        elif length:
            self._starts.append(offset)
            self._ends.append(offset + length)
        if len(self._starts) > MOST:
            raise DecodeError("mapping the disk", f"it is in more than {MOST} pieces")

    def within(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of what lies in this range, cut to it."""
        for place in range(bisect_right(self._ends, offset), len(self._starts)):
            if self._starts[place] >= end:
                return
            yield max(self._starts[place], offset), min(self._ends[place], end)
