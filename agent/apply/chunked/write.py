# SPDX-License-Identifier: Apache-2.0
"""Doing `WriteImage` with a chunked image: many hands, each from the server to the disk; none waits for another.

manifest → first chunks → fit → exclusive, unbootable → data by the hands, holes by one more → flush → read back, if it
is wanted. A disk that holds some of the image already (from a write that was cut short, or from an
earlier deployment) is read first, chunk by chunk, and only what differs is fetched and written: see `compare`.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from threading import Lock

from agent.apply.chunked.compare import Comparer, is_on_disk, zeroes_fast
from agent.apply.chunked.hands import Hands, Worker, batches
from agent.apply.chunked.locate import opened
from agent.apply.chunked.verify import read_back
from agent.apply.crew import Crew
from agent.apply.lender import Lender
from agent.apply.meter import meter_of
from agent.apply.place import DiskPlace, Place, must_be_a_disk
from agent.errors import ImageTooLarge
from agent.host.doors import Host
from agent.host.memory import aligned
from agent.model.chunked import Chunk, Manifest
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage


def write_chunked(host: Host, step: WriteImage, lender: Lender, advance: Advance) -> Result:
    """All but the head, which stays with the lender: when this returns, the rest is on the medium."""
    place = DiskPlace(lender, host.clock, step, step.image)
    crew, meter = Crew(), meter_of(host)
    with ExitStack() as stack:
        image, frames = opened(host, step.image, step.trusted_keys, crew, meter, stack, place.doing)
        lender.tell(image.manifest.payload, image.signature)
        hands = Hands(image.manifest, frames, crew, meter, host.counters.threads(), place.doing)
        work = Pouring(image.manifest, hands, place, stack)
        compares = step.resumed or is_on_disk(image.manifest, work.first, work.target.disk, hands)
        work.run(advance, compares=compares, trusts_zeroing=zeroes_fast(host.files, step.disk.path))
        work.target.clear_what_follows()
        work.target.flush()
        result = work.result
        if step.verify:
            result |= read_back(image.manifest, work.target.disk, work.head, hands, host.clock, advance, place.doing)
    return result


class Pouring:
    """One image on its way to one place, once. `head` is what the place holds back."""

    def __init__(self, manifest: Manifest, hands: Hands, place: Place, stack: ExitStack) -> None:
        """Fetch the first chunks, which hold the head; open the place with it; write what of them is not head."""
        if manifest.disk_bytes > place.limit_bytes:
            raise ImageTooLarge(place.doing, f"{manifest.disk_bytes} bytes do not fit below {place.limit_bytes}")
        self._manifest = manifest
        self._hands = hands
        self._lock = Lock()
        self._done_bytes = 0
        self._reused_bytes = 0
        chunks = first_chunks(manifest, place.head_bytes)
        self.first = len(chunks)
        beginning = aligned(-(-place.head_bytes // manifest.chunk_bytes) * manifest.chunk_bytes)
        for chunk, raw in hands.workers[0].unpacked(chunks):
            beginning[manifest.place(chunk) : manifest.place(chunk) + len(raw)] = raw
        self.head = bytes(beginning[: min(place.head_bytes, manifest.disk_bytes)])
        must_be_a_disk(self.head, place.least_bytes, place.doing)
        self.target = place.open(self.head, stack, hands.meter)
        for chunk in chunks:
            self._put(chunk, beginning[manifest.place(chunk) :])

    def run(self, advance: Advance, *, compares: bool, trusts_zeroing: bool) -> None:
        """All the rest. With `compares`, what the place holds already is left as it is; holes are read only where
        zeroing them would be writing.
        """
        manifest, hands = self._manifest, self._hands
        self.target.zero(manifest.disk_bytes, 0)  # the image reaches as far, whatever is left as it is
        hands.share(
            "image-writer",
            batches(manifest, self.first, hands.count),
            self._pour_what_differs if compares else self._pour,
            lambda: advance(self._done_bytes, manifest.data_bytes, hands.meter.limit()),
            partial(self._zero, compares=compares and not trusts_zeroing),
        )

    @property
    def result(self) -> Result:
        """For the report."""
        told: Result = {"image_bytes": self._manifest.disk_bytes, "sha256": self._manifest.digest}
        return {**told, **self._hands.meter.result(), "reused_bytes": self._reused_bytes}

    def _pour(self, worker: Worker, chunks: list[Chunk]) -> None:
        for chunk, raw in worker.unpacked(chunks):
            self._hands.crew.check()
            self._put(chunk, raw)

    def _pour_what_differs(self, worker: Worker, chunks: list[Chunk]) -> None:
        comparer, differing = self._comparer(worker.raw), []
        for chunk in chunks:
            self._hands.crew.check()
            if comparer.holds(chunk):
                self._count(chunk, is_reused=True)
            else:
                differing.append(chunk)
        self._pour(worker, differing)

    def _put(self, chunk: Chunk, raw: memoryview) -> None:
        place = self._manifest.place(chunk)
        for start, end in self._manifest.runs(chunk):
            self.target.put(place + start, raw[start:end])
        self._count(chunk)

    def _count(self, chunk: Chunk, *, is_reused: bool = False) -> None:
        size = sum(end - start for start, end in self._manifest.runs(chunk))
        with self._lock:
            self._done_bytes += size
            self._reused_bytes += size if is_reused else 0

    def _zero(self, *, compares: bool) -> None:
        comparer = self._comparer(aligned(self._manifest.chunk_bytes)) if compares else None
        for offset, length in self._manifest.holes():
            start = max(offset, len(self.head))
            ranges = (
                comparer.data_in(start, offset + length - start) if comparer else [(start, offset + length - start)]
            )
            for at, size in ranges:
                self._hands.crew.check()
                if size > 0:
                    self.target.zero(at, size)

    def _comparer(self, buffer: memoryview) -> Comparer:
        return Comparer(self.target.disk, self._manifest, self._hands.meter, buffer)


def first_chunks(manifest: Manifest, head_bytes: int) -> list[Chunk]:
    """The listed chunks that hold some of the head."""
    chunks: list[Chunk] = []
    for chunk in manifest:
        if manifest.place(chunk) >= head_bytes:
            break
        chunks.append(chunk)
    return chunks
