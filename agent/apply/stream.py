# SPDX-License-Identifier: Apache-2.0
"""Images that are read once, from beginning to end: raw, packed raw, QCOW2. Chunked ones: `agent.apply.chunked`.

    reader ─► ring of aligned buffers ─┬─► hasher
                                       └─► unpacker ─► two writers ─► disk

A raw image's bytes go from the ring to the disk where they are; what is unpacked has a few buffers of its own. Memory
is constant. The file's digest has the first word: what cannot be unpacked may be damaged on its way, so an error of
the unpacker waits until the whole file is hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from agent.apply.crew import Crew, Lane
from agent.apply.decode.formats import ring_of, unpacker_of
from agent.apply.decode.unpack import Load, Unpacker
from agent.apply.digest import Hasher
from agent.apply.holes import Holes
from agent.apply.meter import Meter, Stage, meter_of
from agent.apply.place import DiskPlace, FilePlace, Place, must_be_a_disk, must_be_said_so
from agent.apply.ring import Feed
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.apply.target import GRAIN_BYTES, Target, runs
from agent.errors import ImageError, ImageOverrun, ImageRefused, ImageTruncated
from agent.host.doors import Host
from agent.host.memory import aligned
from agent.model.image import ImageRef
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage

WRITERS = 2
"""So many writes are in flight: while one is on its way, the device has another."""


def write_stream(host: Host, step: WriteImage, advance: Advance) -> Result:
    """All but the head, which goes to `step.head_path` when the rest is verified and on the medium."""
    place = DiskPlace(host, step)
    with ExitStack() as stack:
        done = poured(host, step.image, place, stack, advance)
        done.target.clear_what_follows()
        done.target.flush()
    host.files.write(step.head_path, done.head, mode=0o600)
    return done.result


def unpack_stream(host: Host, image: ImageRef, path: str, advance: Advance) -> Result:
    """All of it into a new sparse file."""
    with ExitStack() as stack:
        return poured(host, image, FilePlace(host, path, f"unpacking {image.url} to {path}"), stack, advance).result


@dataclass(frozen=True)
class Poured:
    """An image that is where it belongs, verified; but for its head, and for what a flush would tell."""

    target: Target
    head: bytes
    size_bytes: int
    meter: Meter
    digest: Result

    @property
    def result(self) -> Result:
        """For the report."""
        return {"image_bytes": self.size_bytes, **self.digest, **self.meter.result()}


def poured(host: Host, image: ImageRef, place: Place, stack: ExitStack, advance: Advance) -> Poured:
    """Fetch, hash, unpack and write, side by side. The place stays open until the stack is unwound."""
    crew, meter = Crew(), meter_of(host)
    with open_source(host, image, crew.stop, meter) as source:
        return Pour(host, source, place, stack, crew, meter).run(advance)


class Pour:
    """One image on its way, once."""

    def __init__(self, host: Host, source: Source, place: Place, stack: ExitStack, crew: Crew, meter: Meter) -> None:
        self._image = source.image
        self._source = source
        self._place = place
        self._stack = stack
        self._crew = crew
        self._meter = meter
        self._ring = ring_of(self._image.format, crew)
        self._feeds = [Feed(lane, host.clock) for lane in self._ring.lanes]
        self._hasher = Hasher(crew, self._image, place.doing)
        self._unpacker = unpacker_of(self._image.format, self._feeds[1], crew, host.clock, meter, place.doing)
        self._loads: Lane[Load | None] = Lane(crew)
        self._opened: tuple[bytes, Target, Holes] | None = None

    def run(self, advance: Advance) -> Poured:
        """To the end. Raises `ImageError`, `PreconditionError`, `HostError`, `LinkError`, and what `advance` raises."""
        duties: dict[str, Callable[[], None]] = {
            "image-reader": self._read,
            "image-hasher": lambda: self._hasher.run(self._feeds[0], self._meter),
            "image-unpacker": self._unpack,
        }
        duties |= {f"disk-writer-{number}": self._write for number in range(WRITERS)}
        self._meter.lanes[Stage.DISK] = WRITERS
        self._crew.run(duties, lambda: advance(self._ring.done_bytes, self._source.size_bytes, self._meter.limit()))
        assert self._opened is not None
        head, target, holes = self._opened
        holes.drain()
        size = max(target.end_bytes, len(head))
        must_have_its_size(size, self._image.size_bytes, self._place.doing)
        return Poured(target, head, size, self._meter, self._hasher.result)

    def _read(self) -> None:
        with self._source.reader() as reader:
            self._ring.fill(reader)

    def _unpack(self) -> None:
        unpacker, place = self._unpacker, self._place
        must_be_said_so(bytes(self._feeds[1].peek()), self._image.url, self._image.format, place.doing)
        with self._digest_first():
            head = unpacker.begin(place.head_bytes)
            must_be_a_disk(head, place.least_bytes, place.doing)
        target = place.open(head, self._stack, self._meter)
        self._opened = head, target, Holes(target)
        for load in self._loads_of(unpacker):
            self._loads.put(load)
        for _ in range(WRITERS):
            self._loads.put(None)

    def _loads_of(self, unpacker: Unpacker) -> Iterator[Load]:
        loads = unpacker.loads()
        while True:
            with self._digest_first():
                load = next(loads, None)
            if load is None:
                return
            yield load

    @contextmanager
    def _digest_first(self) -> Iterator[None]:
        """An error of the unpacker is told once the file is known to be the right one."""
        try:
            yield
        except ImageRefused:
            raise
        except ImageError:
            self._feeds[1].drain()
            self._hasher.wait()
            raise

    def _write(self) -> None:
        scratch = aligned(GRAIN_BYTES)
        while (load := self._loads.get()) is not None:
            assert self._opened is not None
            _, target, holes = self._opened
            view = load.data(scratch)
            for start, end, is_hole in runs(view):
                if is_hole:
                    holes.add(load.offset_bytes + start, load.offset_bytes + end)
                else:
                    target.put(load.offset_bytes + start, view[start:end])
            load.done()


def must_have_its_size(size_bytes: int, said: int | None, doing: str) -> None:
    """The image unpacked to what was said."""
    if said is not None and size_bytes != said:
        short = size_bytes < said
        raise (ImageTruncated if short else ImageOverrun)(doing, f"it unpacks to {size_bytes} bytes, not to {said}")
