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
from agent.host.doors import Clock
from agent.host.memory import aligned

OUT_BYTES = 1024 * 1024
OUT_COUNT = 6


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
    """One image, once."""

    def begin(self, head_bytes: int) -> bytes:
        """The disk's first bytes; less if it has no more. Raises `ImageError`."""
        ...

    def loads(self) -> Iterator[Load]:
        """All that follows, each to be given back. Raises `ImageError`."""
        ...


class RawUnpacker:
    """The file is the disk."""

    def __init__(self, feed: Feed, there_bytes: int = 0) -> None:
        """What is before `there_bytes`, and no head, was read from the disk."""
        self._feed = feed
        self._there_bytes = there_bytes
        self._rest: Slot | None = None
        self._head_bytes = 0

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

    def loads(self) -> Iterator[Load]:
        """What of the slots lies behind the head, without a copy."""
        slot = self._rest or self._feed.take()
        while slot is not None:
            start = max(slot.offset_bytes, self._head_bytes)
            split = min(max(self._there_bytes, start), slot.end_bytes)
            if start < split < slot.end_bytes:
                slot.hold()
            if start < split:
                yield self._part(slot, start, split, is_there=True)
            if split < slot.end_bytes:
                yield self._part(slot, split, slot.end_bytes, is_there=False)
            slot = self._feed.take()

    def _part(self, slot: Slot, start: int, end: int, *, is_there: bool) -> Plain:
        view = slot.view[start - slot.offset_bytes : end - slot.offset_bytes]
        return Plain(start, view, slot.release, is_there)


class StreamUnpacker:
    """What a decoder gives, in buffers of its own."""

    def __init__(self, decoder: Decoder, feed: Feed, crew: Crew, clock: Clock, meter: Meter) -> None:
        self._decoder = decoder
        self._feed = feed
        self._clock = clock
        self._meter = meter
        self._head_bytes = 0
        self._free: Lane[memoryview] = Lane(crew)
        for _ in range(OUT_COUNT):
            self._free.put(aligned(OUT_BYTES))

    def begin(self, head_bytes: int) -> bytes:
        """Into memory of its own."""
        self._head_bytes = head_bytes
        head = bytearray(head_bytes)
        got = self._fill(memoryview(head))
        return bytes(head[:got])

    def loads(self) -> Iterator[Load]:
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
        busy_s = self._clock.monotonic_s() - began_s - (self._feed.waited_s - waited_s)
        self._meter.add(Stage.DECODE, busy_s, got)
        return got
