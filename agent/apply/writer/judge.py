# SPDX-License-Identifier: Apache-2.0
"""What root finds out for itself about an image that another process writes: see the package."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from agent.apply.chunked.compare import Comparer
from agent.apply.chunked.frames import Came
from agent.apply.chunked.hands import Hands
from agent.apply.chunked.locate import must_be_meant
from agent.apply.chunked.sign import must_be_signed
from agent.apply.chunked.verify import read_back
from agent.apply.chunked.write import first_chunks
from agent.apply.crew import Crew
from agent.apply.lender import Owner, doing_of, must_begin_so
from agent.apply.meter import meter_of
from agent.apply.partition import region_of
from agent.apply.target import is_hole
from agent.errors import DigestMismatch, NotAsObserved, WriterDistrusted
from agent.host.doors import BlockDevice, Host
from agent.host.memory import aligned
from agent.model.chunked import Chunk, Manifest, parse
from agent.model.disk import MIB
from agent.model.image import ImageFormat
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage
from agent.model.writing import Written


class Unfetched:
    """`chunked.frames.Frames` of who only reads back."""

    copies = 0

    def each(self, chunks: Sequence[Chunk], buffer: memoryview) -> Iterator[Came]:
        """Nobody asks."""
        yield from ()

    def distrust(self, servers: Collection[str]) -> None:
        """There are none."""


class Judge(Owner):
    """The disk's owner, who believes nobody."""

    def __init__(self, host: Host, step: WriteImage) -> None:
        super().__init__(host, step)
        self._manifest: Manifest | None = None

    def once_more(self, step: WriteImage) -> Judge:
        """For another process, which begins anew. A disk that was not lent yet is still to be as it was found."""
        other = Judge(self._host, step)
        if self.head:
            other.look()
        else:
            other.seen = self.seen
        return other

    @property
    def reads_back(self) -> bool:
        """Whether this side does what `verify` asks for, since it can know what belongs on the disk."""
        image = self._step.image
        return image.format is ImageFormat.CHUNKED or (image.format is ImageFormat.RAW and image.digest[1] is not None)

    def tell(self, payload: bytes, signature: bytes | None) -> None:
        """See `Lender`."""
        step, doing = self._step, doing_of(self._step)
        if step.image.format is not ImageFormat.CHUNKED:
            raise WriterDistrusted(doing, f"a manifest of an image that is {step.image.format}")
        if step.image.digest[1] is not None:
            must_be_meant(payload, step.image, doing)
        must_be_signed(payload, signature, step.trusted_keys, doing)
        self._manifest = parse(payload)

    @contextmanager
    def begin(self, head: bytes) -> Iterator[BlockDevice]:
        """See `Lender`."""
        if self._manifest is None and self._step.image.format is ImageFormat.CHUNKED:
            raise WriterDistrusted(doing_of(self._step), "nobody told the image's manifest")
        with super().begin(head) as device:
            yield device

    def judge(self, written: Written, disk: BlockDevice, advance: Advance) -> Result:
        """It is said to be written, and nobody else has the disk. Raises `WriterDistrusted`, and as reading back
        does."""
        self._must_be_of_the_order(written)
        step = self._step
        if step.table is not None:
            must_begin_so(region_of(disk, step.table), self.head, doing_of(step))
        if self._manifest is not None:
            self._must_have_its_beginning(self._manifest, disk)
        if not (step.verify and self.reads_back):
            return {}
        if self._manifest is not None:
            return self._chunks_read_back(self._manifest, disk, advance)
        return self._raw_read_back(written.image_bytes, disk, advance)

    def _must_be_of_the_order(self, written: Written) -> None:
        step, doing = self._step, doing_of(self._step)
        image, manifest = step.image, self._manifest
        name, digest = image.digest
        limit = step.limit_bytes if step.table is None else step.table.root.size_bytes
        sizes = {image.size_bytes, manifest.disk_bytes if manifest else None} - {None}
        if digest is not None and getattr(written, name) != digest:
            raise WriterDistrusted(doing, f"{name} {getattr(written, name)}, which is not the image's")
        if written.image_bytes > limit or not {written.image_bytes} >= sizes:
            raise WriterDistrusted(doing, f"{written.image_bytes} bytes of an image, which it cannot have")
        if not self.head:
            raise WriterDistrusted(doing, "written, and not begun")

    def _must_have_its_beginning(self, manifest: Manifest, disk: BlockDevice) -> None:
        """The chunks that hold the head are on the medium, and what no chunk holds of it is zero."""
        comparer = Comparer(disk, manifest, meter_of(self._host), aligned(manifest.chunk_bytes), heals=False)
        head, doing = self.head, doing_of(self._step)
        is_right = all(comparer.holds(chunk, head) for chunk in first_chunks(manifest, len(head)))
        for offset, length in manifest.empty():
            is_right = is_right and is_hole(memoryview(head)[offset : min(offset + length, len(head))])
        if not is_right:
            raise DigestMismatch(doing, "what the image begins with is not as its manifest says")

    def _chunks_read_back(self, manifest: Manifest, disk: BlockDevice, advance: Advance) -> Result:
        host, doing, meter = self._host, doing_of(self._step), meter_of(self._host)
        hands = Hands(manifest, Unfetched(), Crew(), meter, host.counters.threads(), doing)
        return read_back(manifest, disk, self.head, hands, host.clock, advance, doing)

    def _raw_read_back(self, size_bytes: int, disk: BlockDevice, advance: Advance) -> Result:
        """All of a raw image, by the digest of the order; a partition has its head, too."""
        name, digest = self._step.image.digest
        place = disk if self._step.table is None else region_of(disk, self._step.table)
        began_s, hasher, buffer = self._host.clock.monotonic_s(), hashlib.new(name), aligned(MIB)
        head = self.head[:size_bytes]
        hasher.update(head)
        for at in range(len(head), size_bytes, MIB):
            view = buffer[: min(MIB, size_bytes - at)]
            place.read_into(at, view)
            hasher.update(view)
            advance(at + len(view), size_bytes, "reading the disk back")
        if hasher.hexdigest() != digest:
            raise NotAsObserved(doing_of(self._step), f"what was read back has another {name} than the image")
        took_ms = round((self._host.clock.monotonic_s() - began_s) * 1000)
        return {"verified_bytes": size_bytes - len(head), "verify_ms": took_ms}
