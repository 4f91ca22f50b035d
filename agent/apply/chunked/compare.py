# SPDX-License-Identifier: Apache-2.0
"""What a disk holds of an image already, by the manifest's digests of raw chunks. Reads; never writes.

The disk itself is the journal of an image's writing: a chunk is there if its bytes are, whoever wrote them, this
process, one that was killed, or last year's deployment of the same image. So there is nothing to keep, to flush or to
lose, and resuming and redeploying are one thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from threading import Event

from agent.apply.chunked.hands import Hands, Worker
from agent.apply.meter import Meter, Stage
from agent.apply.target import is_hole, runs
from agent.errors import DeviceError
from agent.host.doors import BlockDevice, Files
from agent.host.memory import ALIGNMENT_BYTES
from agent.model.chunked import GRAIN_BYTES, Chunk, Manifest
from agent.program.log import Logger

PROBES = 16

log = Logger("image")


class Comparer:
    """One thread's look at the disk, through a buffer of one chunk. With `heals`, what cannot be read differs: it will
    be written, and writing a sector that cannot be read makes it one that can, or tells that the disk is broken.
    """

    def __init__(
        self, disk: BlockDevice, manifest: Manifest, meter: Meter, buffer: memoryview, *, heals: bool = True
    ) -> None:
        self._disk = disk
        self._heals = heals
        self._manifest = manifest
        self._meter = meter
        self._buffer = buffer

    def holds(self, chunk: Chunk, head: bytes = b"") -> bool:
        """Whether the disk has this chunk; `head` stands for the disk's first bytes, which are elsewhere."""
        place, size = self._manifest.place(chunk), self._manifest.raw_bytes(chunk)
        known = head[place : place + size]
        self._buffer[: len(known)] = known
        if len(known) < size and not self._read(place + len(known), self._buffer[len(known) : size]):
            return False
        with self._meter.busy(Stage.VERIFY, size):
            return hashlib.sha256(self._buffer[:size]).digest() == chunk.raw_sha256

    def may_hold(self, chunk: Chunk) -> bool:
        """A glance at the first grain that should hold data: on an erased disk it is zero."""
        start, end = self._manifest.runs(chunk)[0]
        view = self._buffer[: min(GRAIN_BYTES, end - start)]
        return self._read(self._manifest.place(chunk) + start, view) and not is_hole(view)

    def data_in(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of what is not zero though it should be."""
        end = offset + length
        for at in range(offset, end, len(self._buffer)):
            view = self._buffer[: min(len(self._buffer), end - at)]
            if self._read(at, view):
                yield from ((at + start, stop - start) for start, stop, is_zero in runs(view) if not is_zero)
            else:
                yield at, len(view)

    def _read(self, offset: int, view: memoryview) -> bool:
        try:
            self._get(offset, view)
        except DeviceError as error:
            if not self._heals:
                raise
            log.warning("what cannot be read is written", error=str(error))
            return False
        return True

    def _get(self, offset: int, view: memoryview) -> None:
        whole = len(view) // ALIGNMENT_BYTES * ALIGNMENT_BYTES
        with self._meter.busy(Stage.DISK):
            if whole:
                self._disk.read_into(offset, view[:whole])
            if whole < len(view):  # an image that ends within a sector
                self._disk.read_into(offset + whole, view[whole:])


def is_on_disk(manifest: Manifest, first: int, disk: BlockDevice, hands: Hands) -> bool:
    """Whether the disk holds at least one of some chunks from all over the image, but for the `first` of the list."""
    found = Event()

    def look(worker: Worker, chunk: Chunk) -> None:
        comparer = Comparer(disk, manifest, hands.meter, worker.raw)
        if not found.is_set() and comparer.may_hold(chunk) and comparer.holds(chunk):
            found.set()

    count = len(manifest) - first
    hands.share("prober", (manifest[first + number * count // PROBES] for number in range(min(PROBES, count))), look)
    return found.is_set()


def zeroes_fast(files: Files, path: str) -> bool:
    """Whether the disk zeroes by an order of its own: it takes WRITE ZEROES (Documentation/ABI/stable/sysfs-block)."""
    name = files.resolve(path).rpartition("/")[2]
    fact = f"/sys/block/{name}/queue/write_zeroes_max_bytes"
    return files.exists(fact) and files.read_text(fact).strip() not in ("", "0")
