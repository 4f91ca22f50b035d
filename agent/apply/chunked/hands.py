# SPDX-License-Identifier: Apache-2.0
"""One hand of many: fetches frames, verifies each, unpacks it. Hands share nothing but the list of what is to be done.

No byte reaches the unpacker before the frame's hash is that of the manifest. A frame is unpacked in one pass straight
into the aligned buffer that the disk takes it from. Hashing, unpacking and writing all let go of the interpreter's
lock, so threads are enough. Memory is that of two buffers a hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import TypeVar

import zstandard

from agent.apply.chunked.frames import SKIP_BYTES, Frames
from agent.apply.crew import Crew
from agent.apply.meter import Meter, Stage
from agent.errors import DigestMismatch, ImageError
from agent.host.memory import aligned
from agent.model.chunked import Chunk, Manifest

T = TypeVar("T")

FETCHES = 3
"""So often is a frame fetched, for each server that has it, before it is given up."""
MOST_HANDS, MORE_THAN_THREADS = 8, 3
"""At any time some hands wait for the server or the disk: measured on two processors, five are a tenth faster than
three.
"""
BUFFERS_BYTES = 24 * 1024 * 1024
"""For all hands and the manifest together: what the bar of 80 MB leaves over."""
LONGEST_BATCH_BYTES, SHORTEST_BATCH_BYTES = 8 * 1024 * 1024, 1024 * 1024


class Worker:
    """One hand. Its buffers are those of one thread."""

    def __init__(self, manifest: Manifest, frames: Frames, meter: Meter, doing: str) -> None:
        self._manifest = manifest
        self._frames = frames
        self._meter = meter
        self._doing = doing
        self._packed = aligned(manifest.largest_frame + SKIP_BYTES)
        self._unpacker = zstandard.ZstdDecompressor()
        self.raw = aligned(manifest.chunk_bytes)

    def unpacked(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, memoryview]]:
        """Each chunk with its raw bytes, which stay until the next is asked for. Raises `DigestMismatch`."""
        for chunk, frame, servers in self._frames.each(chunks, self._packed):
            yield chunk, self._unpack(chunk, self._authentic(chunk, frame, servers))

    def _authentic(self, chunk: Chunk, frame: memoryview, servers: Collection[str]) -> memoryview:
        """The frame, if its hash is right; else the same fetched again, elsewhere where that can be."""
        most = FETCHES * self._frames.copies
        for fetch in range(1, most + 1):
            with self._meter.busy(Stage.VERIFY, len(frame)):
                is_right = hashlib.sha256(frame).digest() == chunk.frame_sha256
            if is_right:
                return frame
            self._frames.distrust(servers)
            if fetch < most:
                [(_, frame, servers)] = self._frames.each((chunk,), self._packed)
        raise DigestMismatch(f"{self._doing}, chunk {chunk.number}", f"its sha256 was wrong {most} times")

    def _unpack(self, chunk: Chunk, frame: memoryview) -> memoryview:
        """A frame that says its size and has room is unpacked in one pass (ZSTD_decompressStream)."""
        raw = self.raw[: self._manifest.raw_bytes(chunk)]
        doing = f"{self._doing}, chunk {chunk.number}"
        try:
            told = zstandard.frame_content_size(frame)
            if told != len(raw):
                raise ImageError(doing, f"its frame unpacks to {told} bytes, not to {len(raw)}")
            with self._meter.busy(Stage.DECODE, len(raw)):
                got = self._unpacker.stream_reader(frame).readinto(raw)
        except zstandard.ZstdError as error:
            raise ImageError(doing, "its frame cannot be unpacked") from error
        if got != len(raw):
            raise ImageError(doing, f"its frame unpacked to {got} bytes, not to {len(raw)}")
        return raw


class Hands:
    """Several workers, and the list that they share. Each call does one work, to its end or its first error."""

    def __init__(self, manifest: Manifest, frames: Frames, crew: Crew, meter: Meter, threads: int, doing: str) -> None:
        """As many as are of use on `threads` processors and have room."""
        self.crew = crew
        self.meter = meter
        room = (BUFFERS_BYTES - len(manifest.payload)) // (manifest.chunk_bytes + manifest.largest_frame + SKIP_BYTES)
        self.count = max(1, min(MOST_HANDS, threads + MORE_THAN_THREADS, room))
        self.workers = [Worker(manifest, frames, meter, doing) for _ in range(self.count)]
        for stage in Stage:
            meter.lanes[stage] = self.count

    def share(
        self,
        name: str,
        things: Iterable[T],
        act: Callable[[Worker, T], None],
        tick: Callable[[], None] = lambda: None,
        beside: Callable[[], None] | None = None,
    ) -> None:
        """Each thing is done by the next free hand; `beside` by a thread of its own, at the same time."""
        waiting, lock = iter(things), Lock()

        def work(worker: Worker) -> None:
            while True:
                self.crew.check()
                with lock:
                    thing = next(waiting, None)
                if thing is None:
                    return
                act(worker, thing)

        duties: dict[str, Callable[[], None]] = {
            f"{name}-{number}": partial(work, worker) for number, worker in enumerate(self.workers)
        }
        if beside is not None:
            duties["hole-zeroer"] = beside
        self.crew.run(duties, tick)


def batches(manifest: Manifest, first: int, hands: int) -> Iterator[list[Chunk]]:
    """The chunks from `first` on, in file order: long batches, which spare requests; short ones in the end, so that
    all hands are done at once.
    """
    end, room = manifest.end_of_frames, 0
    batch: list[Chunk] = []
    for index in range(first, len(manifest)):
        chunk = manifest[index]
        if not batch:
            share = (end - chunk.offset) // (2 * hands)
            room = max(SHORTEST_BATCH_BYTES, min(LONGEST_BATCH_BYTES, share))
        batch.append(chunk)
        room -= chunk.length
        if room <= 0:
            yield batch
            batch = []
    if batch:
        yield batch
