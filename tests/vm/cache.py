# SPDX-License-Identifier: Apache-2.0
"""A disk's medium and its write cache, in memory: what a power cut leaves of what was not flushed is drawn by lot.

Reads see every write. A flush brings all that was written before onto the medium. At a power cut each write of the
cache is there, or not, or torn: any of its sectors. What happened is kept in order, so that the medium of every other
moment at which the power might have gone can be had as well (`mediums`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from threading import RLock

from agent.host.fake.disk import SparseBytes

SECTOR_BYTES = 512
PIECE_BYTES = 4096


@dataclass(frozen=True)
class Write:
    """Bytes that came to the disk; `None`: so many zeroes."""

    offset: int
    length: int
    data: bytes | None = field(repr=False)

    def pieces(self, size: int) -> Iterator[Write]:
        """The same in pieces, each of which is on the medium or is not."""
        for at in range(0, self.length, size):
            length = min(size, self.length - at)
            yield Write(self.offset + at, length, None if self.data is None else self.data[at : at + length])

    def put(self, medium: SparseBytes) -> None:
        """Onto it."""
        if self.data is None:
            medium.zero(self.offset, self.length)
        else:
            medium.write(self.offset, self.data)


@dataclass(frozen=True)
class Flush:
    """All that came before is on the medium."""


class CachedDisk:
    """The disk."""

    def __init__(self, size_bytes: int, medium: SparseBytes | None = None) -> None:
        """With this on its medium; else zeroes."""
        self.size_bytes = size_bytes
        self.durable = medium or SparseBytes()
        self.seen = self.durable.copy()
        self.cached: list[Write] = []
        self.begun = SparseBytes()
        self.history: list[Write | Flush] | None = None
        self.flushes = 0
        self._lock = RLock()

    def remember(self) -> None:
        """From now on, what happens to it."""
        with self._lock:
            self.begun = self.durable.copy()
            self.history = list(self.cached)

    @property
    def moment(self) -> int:
        """How much has happened since it remembers."""
        with self._lock:
            return len(self.history or ())

    def read(self, offset: int, length: int) -> bytes:
        """What was written last."""
        with self._lock:
            return self.seen.read(offset, length)

    def write(self, one: Write) -> None:
        """Into the cache."""
        with self._lock:
            one.put(self.seen)
            self.cached.append(one)
            if self.history is not None:
                self.history.append(one)

    def flush(self) -> None:
        """Out of it."""
        with self._lock:
            for one in self.cached:
                one.put(self.durable)
            self.cached.clear()
            self.flushes += 1
            if self.history is not None:
                self.history.append(Flush())

    def cut_power(self, lot: Random) -> int:
        """What was not flushed is there or not, as the lot says; how many writes that were."""
        with self._lock:
            lost = len(self.cached)
            for one in self.cached:
                survive(one, self.durable, lot)
            self.cached.clear()
            self.seen = self.durable.copy()
            return lost


def survive(one: Write, medium: SparseBytes, lot: Random) -> None:
    """What a power cut leaves of a write: all, nothing, or any of its sectors (of what is long: of its pages)."""
    match lot.randrange(4):
        case 0:
            return
        case 1:
            one.put(medium)
        case _:
            for piece in one.pieces(SECTOR_BYTES if one.length <= 64 * PIECE_BYTES else PIECE_BYTES):
                if lot.random() < 0.5:
                    piece.put(medium)


History = list[Write | Flush]


def mediums(begun: SparseBytes, history: History, moments: list[int], lot: Random) -> Iterator[tuple[int, SparseBytes]]:
    """What would be on the medium, had the power gone after so many of these; `moments` in their order."""
    durable, cached, wanted = begun.copy(), list[Write](), iter(moments)
    moment = next(wanted, None)
    for done in range(len(history) + 1):
        while moment == done:
            medium = durable.copy()
            for one in cached:
                survive(one, medium, lot)
            yield done, medium
            moment = next(wanted, None)
        if moment is None or done == len(history):
            return
        match history[done]:
            case Flush():
                for one in cached:
                    one.put(durable)
                cached.clear()
            case Write() as one:
                cached.append(one)
