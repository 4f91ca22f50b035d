# SPDX-License-Identifier: Apache-2.0
"""Cutting a disk into chunks and compressing those that hold data: several threads, in order, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import local
from typing import NamedTuple, Protocol

import zstandard

from agent.apply.target import is_hole
from agent.errors import HostError
from agent.host.memory import aligned
from agent.model.chunked import grain_bytes, raw_bytes

AHEAD = 2
"""So many chunks a thread are on their way at most."""
Spans = list[tuple[int, int]]


class Readable(Protocol):
    """A disk, or a file of one. Any thread may read; what is in no extent is zero."""

    @property
    def size_bytes(self) -> int | None:
        """None for a stream, which cannot be packed."""
        ...

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """(offset, length), ascending."""
        ...

    def read_into(self, offset_bytes: int, view: memoryview, /) -> object:
        """Fill the view. A number that is returned says how much of it was."""
        ...


class Packed(NamedTuple):
    """A chunk that holds data."""

    number: int
    frame: bytes
    frame_sha256: bytes
    grains: int
    raw_sha256: bytes


class Compressor:
    """Of one disk, once."""

    def __init__(self, disk: Readable, disk_bytes: int, chunk_bytes: int, level: int, threads: int) -> None:
        self._disk = disk
        self._disk_bytes = disk_bytes
        self._chunk_bytes = chunk_bytes
        self._parameters = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=chunk_bytes, write_content_size=True, write_checksum=False
        )
        self._threads = threads
        self._own = local()

    def chunks(self) -> Iterator[Packed]:
        """Those that hold data, in order."""
        waiting: deque[Future[Packed | None]] = deque()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="packer") as pool:
            try:
                for number, spans in cut(self._disk.data_extents(), self._chunk_bytes, self._disk_bytes):
                    waiting.append(pool.submit(self._packed, number, spans))
                    if len(waiting) >= AHEAD * self._threads:
                        yield from some(waiting.popleft().result())
                while waiting:
                    yield from some(waiting.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def empty(self, size_bytes: int) -> bytes:
        """The frame of a chunk without data."""
        return zstandard.ZstdCompressor(compression_params=self._parameters).compress(bytes(size_bytes))

    def _packed(self, number: int, spans: Spans) -> Packed | None:
        """In a thread of the pool, each of which has a buffer and a compressor."""
        if not hasattr(self._own, "buffer"):
            self._own.buffer = aligned(self._chunk_bytes)
            self._own.zstd = zstandard.ZstdCompressor(compression_params=self._parameters)
        view = self._own.buffer[: raw_bytes(number, self._chunk_bytes, self._disk_bytes)]
        self._fill(view, number * self._chunk_bytes, spans)
        grains = grains_of(view, grain_bytes(self._chunk_bytes))
        if not grains:
            return None
        frame = self._own.zstd.compress(view)
        return Packed(number, frame, hashlib.sha256(frame).digest(), grains, hashlib.sha256(view).digest())

    def _fill(self, view: memoryview, place: int, spans: Spans) -> None:
        at = 0
        for start, end in [*spans, (len(view), len(view))]:
            view[at:start] = bytes(start - at)
            if start < end:
                got = self._disk.read_into(place + start, view[start:end])
                if isinstance(got, int) and got < end - start:
                    raise HostError("reading the disk to be packed", f"it ended at byte {place + start + got}")
            at = end


def some(chunk: Packed | None) -> Iterator[Packed]:
    """It, if it is one."""
    if chunk is not None:
        yield chunk


def cut(extents: Iterator[tuple[int, int]], chunk_bytes: int, disk_bytes: int) -> Iterator[tuple[int, Spans]]:
    """Chunks that are in any extent, ascending: (number, (start, end) within the chunk)."""
    number, spans = 0, Spans()
    for offset, length in extents:
        at, end = offset, min(offset + length, disk_bytes)
        while at < end:
            here, start = divmod(at, chunk_bytes)
            if here != number and spans:
                yield number, spans
                spans = []
            number = here
            stop = min(end - here * chunk_bytes, chunk_bytes)
            spans.append((start, stop))
            at = here * chunk_bytes + stop
    if spans:
        yield number, spans


def grains_of(view: memoryview, unit: int) -> int:
    """The map of what is not zero."""
    bits = 0
    for index, start in enumerate(range(0, len(view), unit)):
        if not is_hole(view[start : start + unit]):
            bits |= 1 << index
    return bits
