# SPDX-License-Identifier: Apache-2.0
"""A disk in memory: sparse, with a cache that a power cut empties.

Reads see every write. Only what was flushed before a power cut is sure to be there after it; of the rest, any part
may be: a drive writes its cache back in whatever order it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import RLock

from agent.host.fake.answers import NOT_RECORDED
from agent.host.fake.tree import Unreadable

CHUNK_BYTES = 64 * 1024
ONE_AT_A_TIME = RLock()
"""Several threads write to a disk; no chunk of it may vanish between the look and the write."""


class SparseBytes:
    """Bytes that are zero until written; a chunk that was never written takes no memory."""

    def __init__(self, chunks: dict[int, bytearray] | None = None) -> None:
        self._chunks = chunks or {}

    def copy(self) -> SparseBytes:
        """Another one with the same content."""
        return SparseBytes({number: bytearray(chunk) for number, chunk in self._chunks.items()})

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`. Most lie within one chunk."""
        first, begin = divmod(offset, CHUNK_BYTES)
        if begin + length <= CHUNK_BYTES:
            chunk = self._chunks.get(first)
            return bytes(length) if chunk is None else bytes(chunk[begin : begin + length])
        return b"".join(
            bytes(self._chunks[number][start:end]) if number in self._chunks else bytes(end - start)
            for number, start, end in pieces(offset, length)
        )

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`."""
        at = 0
        for number, start, end in pieces(offset, len(data)):
            chunk = self._chunks.setdefault(number, bytearray(CHUNK_BYTES))
            chunk[start:end] = data[at : at + end - start]
            at += end - start

    def zero(self, offset: int, length: int) -> None:
        """Make the range zero; its cost is that of what was written there, not of the range."""
        end = offset + length
        for number in list(self._chunks):
            first = number * CHUNK_BYTES
            if first >= end or first + CHUNK_BYTES <= offset:
                continue
            start, stop = max(offset - first, 0), min(end - first, CHUNK_BYTES)
            self._chunks[number][start:stop] = bytes(stop - start)
            if not any(self._chunks[number]):
                del self._chunks[number]

    @property
    def blank(self) -> bool:
        """Whether every byte is zero."""
        return not any(any(chunk) for chunk in self._chunks.values())


def pieces(offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Chunk number, first and last+1 byte in it, of a range."""
    end = offset + length
    while offset < end:
        number, start = divmod(offset, CHUNK_BYTES)
        stop = min(CHUNK_BYTES, start + end - offset)
        yield number, start, stop
        offset += stop - start


@dataclass
class FakeDisk:
    """What is on the medium, what is still in the cache, and who has it open; `lent`: how many others may write to it.
    With `pieces`, what is in none of them is not known.
    """

    size_bytes: int
    logical_sector_bytes: int = 512
    read_only: bool = False
    opened_exclusively: bool = False
    lent: int = 0
    table_rereads: int = 0
    content: SparseBytes = field(default_factory=SparseBytes, repr=False)
    durable: SparseBytes = field(default_factory=SparseBytes, repr=False)
    cached: list[tuple[int, bytes | int]] = field(default_factory=list, repr=False)
    pieces: Mapping[int, bytes | Unreadable] | None = field(default=None, repr=False)

    def hold(self, pieces: Mapping[int, bytes | Unreadable]) -> None:
        """Be a disk of which nothing is known but these pieces, by where they begin."""
        self.pieces = pieces
        for offset, piece in pieces.items():
            if isinstance(piece, bytes) and piece.count(0) < len(piece):
                self.content.write(offset, piece)

    def unknown(self, offset: int, length: int) -> str | None:
        """Why a range cannot be read; `None` if it can."""
        if self.pieces is None:
            return None
        if isinstance(found := self.pieces.get(offset), Unreadable):
            return found.reason
        reached = offset
        ends = {start: start + len(piece) for start, piece in self.pieces.items() if isinstance(piece, bytes)}
        for start, end in sorted(ends.items()):
            reached = max(reached, end) if start <= reached else reached
        return None if reached >= offset + length else NOT_RECORDED

    def read(self, offset: int, length: int) -> bytes:
        """What a read gives now."""
        with ONE_AT_A_TIME:
            return self.content.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Write into the cache."""
        with ONE_AT_A_TIME:
            self.content.write(offset, data)
            self.cached.append((offset, data))

    def zero(self, offset: int, length: int) -> None:
        """Zero, into the cache."""
        with ONE_AT_A_TIME:
            self.content.zero(offset, length)
            self.cached.append((offset, length))

    def flush(self) -> None:
        """The cache goes to the medium."""
        with ONE_AT_A_TIME:
            self._settle(lambda _: True)

    def cut_power(self, survives: Callable[[int], bool]) -> None:
        """Lose the cache, but for the writes whose number since the last flush `survives`."""
        self._settle(survives)
        self.content = self.durable.copy()
        self.opened_exclusively = False

    def _settle(self, survives: Callable[[int], bool]) -> None:
        for number, (offset, data) in enumerate(self.cached):
            if not survives(number):
                continue
            if isinstance(data, int):
                self.durable.zero(offset, data)
            else:
                self.durable.write(offset, data)
        self.cached.clear()
