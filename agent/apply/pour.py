# SPDX-License-Identifier: Apache-2.0
"""One image on its way from its source to its place.

    reader ─► ring of aligned buffers ─┬─► hasher
                                       └─► unpacker ─► two writers ─► disk

A raw image's bytes go from the ring to the disk where they are; what is unpacked has a few buffers of its own. Memory
is constant. The file's digest has the first word: what cannot be unpacked may be damaged on its way, so an error of
unpacking is told when the whole file was hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from agent.apply.crew import Crew, Lane
from agent.apply.decode.formats import SCRATCH_BYTES, ring_of, unpacker_of
from agent.apply.decode.unpack import Load, longest_file
from agent.apply.digest import Hasher
from agent.apply.holes import LONG_BYTES, Holes
from agent.apply.meter import Meter, Stage
from agent.apply.place import (
    Place,
    must_be_a_disk,
    must_be_said_so,
    must_be_whole_sectors,
    must_fit,
    must_have_its_size,
    must_not_be_longer,
)
from agent.apply.readback import Sums
from agent.apply.resume import Bookmark, Segment, Spliced, segments
from agent.apply.ring import Feed
from agent.apply.source import Reader, Source
from agent.apply.target import Target, runs
from agent.errors import ImageChanged, ImageError, ImageOverrun, ImageRefused
from agent.host.doors import Host
from agent.host.memory import aligned
from agent.model.image import ImageFormat
from agent.model.job import Advance, Result

WRITERS = 2
"""So many writes are in flight: while one is on its way, the device has another."""
MOST_LOADS = 64


@dataclass(frozen=True)
class Opened:
    """A place that is being written."""

    head: bytes
    target: Target
    holes: Holes
    bookmark: Bookmark | None
    sums: Sums | None

    def put(self, offset_bytes: int, view: memoryview, *, is_there: bool) -> None:
        """What belongs there; what is there is only counted."""
        if self.sums is not None:
            self.sums.add(offset_bytes, view)
        if is_there:
            self.target.reach(offset_bytes + len(view))
            return
        for start, end, is_hole in runs(view):
            if is_hole:
                self.holes.add(offset_bytes + start, offset_bytes + end)
            else:
                self.target.put(offset_bytes + start, view[start:end])

    def flush(self) -> None:
        """All that was put is on the medium when this returns."""
        self.holes.drain()
        self.target.flush()


@dataclass
class Bounded:
    """`Reader` of a file that has to end. What was wrong with it before is what is told: its digest is not waited for
    any longer.
    """

    reader: Reader
    limit_bytes: int
    failure: Callable[[], ImageError | None]
    doing: str
    came_bytes: int = 0

    def fill(self, view: memoryview) -> int:
        """As it does. Raises `ImageTooLarge`, too."""
        got = self.reader.fill(view)
        self.came_bytes += got
        if self.came_bytes > longest_file(self.limit_bytes) and (failure := self.failure()) is not None:
            raise failure
        must_not_be_longer(self.came_bytes, self.limit_bytes, self.doing)
        return got


@dataclass(frozen=True)
class Poured:
    """An image that is where it belongs, verified; but for its head, and for what a flush would tell."""

    opened: Opened
    size_bytes: int
    file_bytes: int
    reused_bytes: int
    digest: Result


class Pour:
    """One image, once. `there_bytes` of its file are known to be on the disk, if it is of a kind that can go on."""

    def __init__(
        self,
        host: Host,
        source: Source,
        place: Place,
        stack: ExitStack,
        crew: Crew,
        meter: Meter,
        *,
        there_bytes: int = 0,
        verify: bool = False,
    ) -> None:
        self._source = source
        self._place = place
        self._stack = stack
        self._crew = crew
        self._meter = meter
        self._there_bytes = there_bytes
        self._verify = verify
        self._ring = ring_of(source.image.format, crew)
        self._hashed, self._feed = (Feed(lane, host.clock) for lane in self._ring.lanes)
        self._hasher = Hasher(source.image, place.doing)
        self._unpacker = unpacker_of(source, self._feed, crew, host.clock, meter, place.doing)
        self._loads: Lane[Load | None] = Lane(crew, MOST_LOADS)
        self._may_read = False
        self._segments: Iterator[Segment] | None = None
        self._may_write = False
        self._opened: Opened | None = None
        self._failure: ImageError | None = None
        self._reused_bytes = 0

    def run(self, advance: Advance) -> Poured:
        """To the end. Raises `ImageError`, `PreconditionError`, `HostError`, `LinkError`, and what `advance` raises."""
        duties: dict[str, Callable[[], None]] = {
            "image-reader": self._read,
            "image-hasher": lambda: self._hasher.run(self._hashed, self._meter),
            "image-unpacker": self._unpack,
            "disk-zeroer": self._zero,
        }
        duties |= {f"disk-writer-{number}": self._write for number in range(WRITERS)}
        self._meter.lanes[Stage.DISK] = WRITERS
        if self._unpacker.reads_tables:  # packed clusters are unpacked by who writes them
            self._meter.lanes[Stage.DECODE] = WRITERS
        self._crew.run(duties, lambda: advance(self._ring.done_bytes, self._source.size_bytes, self._meter.limit()))
        if self._failure is not None:  # and the digest is right, or it would have been told
            raise self._failure
        assert self._opened is not None
        self._opened.holes.drain()
        size = max(self._opened.target.end_bytes, len(self._opened.head))
        must_have_its_size(size, self._source.image.size_bytes, self._place.doing)
        return Poured(self._opened, size, self._ring.done_bytes, self._reused_bytes, self._hasher.result)

    @property
    def is_open(self) -> bool:
        """Whether the place was touched: the image's first bytes were such as it can take."""
        return self._opened is not None

    def forget(self) -> None:
        """After a wrong digest: what was written is nothing to go on with."""
        if self._opened is not None and self._opened.bookmark is not None:
            self._opened.bookmark.forget()

    def _read(self) -> None:
        with self._crew.when(lambda: self._may_read):
            parts = self._segments
        if parts is None:
            with self._source.reader() as reader:
                self._ring.fill(self._bounded(reader))
        else:
            with self._place.open_read() as disk, Spliced(self._source, disk, parts, self._meter) as spliced:
                self._ring.fill(spliced)
                self._reused_bytes = spliced.reused_bytes

    def _bounded(self, reader: Reader) -> Reader:
        """A file of unknown length may have none. Of QCOW2, whose length is known, the disk is but a part."""
        if self._source.image.format is ImageFormat.QCOW2:
            return reader
        return Bounded(reader, self._place.limit_bytes, lambda: self._failure, self._place.doing)

    def _unpack(self) -> None:
        try:
            for load in self._begun():
                self._loads.put(load)
                if self._failure is not None:
                    break
            self._feed.drain()
        except (ImageRefused, ImageChanged):
            raise
        except ImageError as error:
            self._failure = error
            self._let_read()
            self._feed.drain()
        self._let_write()
        for _ in range(WRITERS):
            self._loads.put(None)

    def _begun(self) -> Iterator[Load]:
        unpacker, place = self._unpacker, self._place
        if not unpacker.reads_tables:
            self._let_read()
        must_be_said_so(unpacker.opening(), self._source.image, place.doing)
        head = unpacker.begin(place.head_bytes)
        must_be_a_disk(head, place.least_bytes, place.doing)
        must_be_whole_sectors(unpacker.grain_bytes, place.sector_bytes, place.doing)
        must_fit(self._known_bytes(), place.limit_bytes, place.doing)
        if not unpacker.reads_tables:
            must_not_be_longer(self._source.size_bytes, place.limit_bytes, place.doing)
        self._let_read()
        target = place.open(head, self._stack, self._meter)
        sums = Sums(unpacker.grain_bytes) if self._verify else None
        self._opened = Opened(head, target, Holes(target), self._bookmark(target), sums)
        self._let_write()
        return unpacker.loads(self._there_bytes)

    def _known_bytes(self) -> int | None:
        """What it unpacks to, where that is known before its end."""
        is_raw = self._source.image.format is ImageFormat.RAW
        return self._source.size_bytes if is_raw else self._unpacker.disk_bytes

    def _bookmark(self, target: Target) -> Bookmark | None:
        size = self._source.size_bytes
        if size is None or self._unpacker.parts(0) is None:
            return None
        return self._place.bookmark(target, self._there_bytes, size)

    def _let_read(self) -> None:
        """The reader may begin; by now it is known which parts of the file are on the disk."""
        if self._may_read:
            return
        if self._there_bytes and self._failure is None:
            self._segments = self._spared()
        if self._segments is None:
            self._there_bytes = 0
        with self._crew.when(lambda: True):
            self._may_read = True

    def _spared(self) -> Iterator[Segment] | None:
        """The file with what is on the disk; None where it has to be fetched as a whole."""
        does_ranges, size = self._source.does_ranges, self._source.size_bytes  # in this order: asking shows the size
        if not does_ranges or size is None or self._there_bytes > size:
            return None
        parts = self._unpacker.parts(self._there_bytes)
        return None if parts is None else segments(parts, self._place.head_bytes, size)

    def _let_write(self) -> None:
        with self._crew.when(lambda: True):
            self._may_write = True

    def _zero(self) -> None:
        """What no load will come for."""
        with self._crew.when(lambda: self._may_write):
            opened = self._opened
        if opened is None:
            return
        for start, end in self._unpacker.holes():
            for at in range(start, end, LONG_BYTES):
                self._crew.check()
                opened.target.zero(at, min(LONG_BYTES, end - at))

    def _write(self) -> None:
        scratch = aligned(SCRATCH_BYTES)
        while (load := self._loads.get()) is not None:
            assert self._opened is not None
            if self._failure is None:
                self._put(self._opened, load, scratch)
            load.done()
            self._keep_up(self._opened)

    def _put(self, opened: Opened, load: Load, scratch: memoryview) -> None:
        try:
            view = load.data(scratch)
        except ImageError as error:
            self._failure = error
            return
        at, said = load.offset_bytes, self._source.image.size_bytes
        if said is not None and at + len(view) > said:
            self._failure = ImageOverrun(self._place.doing, f"it goes on behind the {said} bytes that it should have")
            return
        skip = min(max(len(opened.head) - at, 0), len(view))
        if skip and opened.head[at : at + skip] != view[:skip].tobytes():
            raise ImageChanged(self._place.doing, f"its first {len(opened.head)} bytes are not what they were")
        if skip < len(view):
            opened.put(at + skip, view[skip:], is_there=load.is_there)

    def _keep_up(self, opened: Opened) -> None:
        """What was settled is on the disk, unless something could not be unpacked."""
        settled_bytes = self._ring.settled_bytes
        if opened.bookmark is not None and self._failure is None:
            opened.bookmark.keep_up(settled_bytes, opened.flush)
