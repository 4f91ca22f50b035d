# SPDX-License-Identifier: Apache-2.0
"""From the file's slots to what is written where: the disk's first bytes, then loads, each in aligned memory.

A raw image's loads are the slots themselves; what has to be unpacked goes through a few buffers that come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.apply.crew import Crew, Lane
from agent.apply.decode import Decoder
from agent.apply.meter import Meter, Stage
from agent.apply.ring import Feed, Slot
from agent.apply.target import GRAIN_BYTES
from agent.errors import ImageRefused
from agent.host.doors import Clock
from agent.host.memory import HUGE_PAGE_BYTES, aligned
from agent.model.disk import MIB
from agent.model.image_kind import HEAD_BYTES

OUT_BYTES = HUGE_PAGE_BYTES
OUT_COUNT = 3
IDLE_BYTES = 64 * MIB
GROWS_BY = 16
"""What cannot be packed grows by far less than a sixteenth of it, and what says nothing of the disk (a manifest, for
one) is no longer than this. Else a server could go on for ever, with empty members or frames.
"""


def longest_file(out_bytes: int) -> int:
    """No file that is read as a stream has more bytes than this and unpacks to so many."""
    return out_bytes + out_bytes // GROWS_BY + IDLE_BYTES


class Load(Protocol):
    """What belongs at one place of the disk."""

    @property
    def offset_bytes(self) -> int: ...
    @property
    def is_there(self) -> bool:
        """It was read from that place of the disk itself."""
        ...

    def data(self, scratch: memoryview) -> memoryview:
        """The bytes; those that have yet to be unpacked are then in `scratch`."""
        ...

    def done(self) -> None:
        """The bytes are not needed any more."""
        ...


@dataclass(frozen=True)
class Plain:
    """Bytes as they are."""

    offset_bytes: int
    view: memoryview
    done: Callable[[], None]
    is_there: bool = False

    def data(self, scratch: memoryview) -> memoryview:
        """The view."""
        return self.view


class Unpacker(Protocol):
    """One image, once. `reads_tables`: it reads parts of the file by itself before the rest is read in order."""

    reads_tables: bool

    def opening(self) -> bytes:
        """The file's first bytes."""
        ...

    def begin(self, head_bytes: int) -> bytes:
        """The disk's first bytes; less if it has no more. Raises `ImageError`."""
        ...

    def parts(self, done_bytes: int) -> Iterator[tuple[int, int, int]] | None:
        """(place in the file, place on the disk, length) of what of these first bytes of the file lies on the disk as
        it is, in file order. None: its bytes cannot be found there again.
        """
        ...

    def loads(self, there_bytes: int) -> Iterator[Load]:
        """What follows the head, each to be given back. Of the file's first `there_bytes`, what `parts` tells of was
        read from the disk. Raises `ImageError`.
        """
        ...

    def holes(self) -> Iterator[tuple[int, int]]:
        """(start, end) on the disk of what is zero and in no load."""
        ...

    @property
    def disk_bytes(self) -> int | None:
        """What it unpacks to, where its beginning says so."""
        ...

    @property
    def grain_bytes(self) -> int:
        """Loads begin at whole grains of the disk, and end there or with the image."""
        ...


class RawUnpacker:
    """The file is the disk."""

    reads_tables = False
    disk_bytes = None
    grain_bytes = GRAIN_BYTES

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._rest: Slot | None = None
        self._head_bytes = 0

    def opening(self) -> bytes:
        """Of the first slot."""
        return bytes(self._feed.peek()[:HEAD_BYTES])

    def begin(self, head_bytes: int) -> bytes:
        """The first slots."""
        head = bytearray()
        while len(head) < head_bytes and (slot := self._feed.take()) is not None:
            head += slot.view[: head_bytes - len(head)]
            if slot.end_bytes > head_bytes:
                self._rest = slot
            else:
                slot.release()
        self._head_bytes = head_bytes
        return bytes(head)

    def parts(self, done_bytes: int) -> Iterator[tuple[int, int, int]]:
        """All of it."""
        return iter([(0, 0, done_bytes)])

    def loads(self, there_bytes: int) -> Iterator[Load]:
        """What of the slots lies behind the head, without a copy."""
        slot = self._rest or self._feed.take()
        while slot is not None:
            start = max(slot.offset_bytes, self._head_bytes)
            yield Plain(start, slot.view[start - slot.offset_bytes :], slot.release, slot.end_bytes <= there_bytes)
            slot = self._feed.take()

    def holes(self) -> Iterator[tuple[int, int]]:
        """They are in the file."""
        return iter(())


class Fed:
    """The file as a decoder reads it, who has to make something of it."""

    def __init__(self, feed: Feed, doing: str) -> None:
        self._feed = feed
        self._doing = doing
        self._in_bytes = 0
        self.out_bytes = 0

    def read(self, _size_bytes: int = -1) -> memoryview:
        """The next piece. Raises `ImageRefused`."""
        view = self._feed.read()
        self._in_bytes += len(view)
        if self._in_bytes > longest_file(self.out_bytes):
            told = f"its first {self._in_bytes} bytes unpack to no more than {self.out_bytes}"
            raise ImageRefused(self._doing, told, hint="Pack the disk again, and nothing else.")
        return view


class StreamUnpacker:
    """What a decoder gives, in buffers of its own."""

    reads_tables = False
    disk_bytes = None
    grain_bytes = GRAIN_BYTES

    def __init__(
        self, decoder: Callable[[Fed], Decoder], feed: Feed, crew: Crew, clock: Clock, meter: Meter, doing: str
    ) -> None:
        self._fed = Fed(feed, doing)
        self._decoder = decoder(self._fed)
        self._feed = feed
        self._clock = clock
        self._meter = meter
        self._head_bytes = 0
        self._free: Lane[memoryview] = Lane(crew)
        for _ in range(OUT_COUNT):
            self._free.put(aligned(OUT_BYTES))

    def opening(self) -> bytes:
        """Of the first slot."""
        return bytes(self._feed.peek()[:HEAD_BYTES])

    def begin(self, head_bytes: int) -> bytes:
        """Into memory of its own."""
        self._head_bytes = head_bytes
        head = bytearray(head_bytes)
        got = self._fill(memoryview(head))
        return bytes(head[:got])

    def parts(self, done_bytes: int) -> None:
        """What a decoder was fed with is nowhere on the disk."""

    def holes(self) -> Iterator[tuple[int, int]]:
        """They are unpacked like all else."""
        return iter(())

    def loads(self, there_bytes: int) -> Iterator[Load]:
        """One buffer after another."""
        at, is_over = self._head_bytes, False
        while not is_over:
            memory = self._free.get()
            got = self._fill(memory)
            is_over = got < len(memory)
            if got:
                yield Plain(at, memory[:got], lambda memory=memory: self._free.put(memory))  # type: ignore[misc]
                at += got

    def _fill(self, view: memoryview) -> int:
        began_s, waited_s = self._clock.monotonic_s(), self._feed.waited_s
        got = self._decoder.fill(view)
        self._fed.out_bytes += got
        busy_s = self._clock.monotonic_s() - began_s - (self._feed.waited_s - waited_s)
        self._meter.add(Stage.DECODE, busy_s, got)
        return got
