# SPDX-License-Identifier: Apache-2.0
"""A file that came in pieces of any size, for what reads it; and a decoder of it, read to its end."""

from __future__ import annotations

from collections.abc import Callable

from agent.apply.crew import Crew, Lane
from agent.apply.decode import Decoder
from agent.apply.decode.members import MemberDecoder, packing_of
from agent.apply.decode.zstd import ZstdDecoder
from agent.apply.ring import Feed, Slot
from agent.host.fake import FakeHost, Machine, Tree
from agent.model.image import ImageFormat


def feed_of(file: bytes, piece_bytes: int) -> Feed:
    """The whole file."""
    crew = Crew()
    lane: Lane[Slot | None] = Lane(crew)
    for at in range(0, len(file), piece_bytes):
        slot = Slot(memoryview(bytearray(file[at : at + piece_bytes])), lambda _: None)
        slot.filled(at, len(slot.memory), 1)
        lane.put(slot)
    lane.put(None)
    return Feed(lane, FakeHost.of(Machine.of(Tree())).clock)


def decoder_of(feed: Feed, image_format: ImageFormat) -> Decoder:
    """For a packed stream."""
    if image_format is ImageFormat.RAW_ZST:
        return ZstdDecoder(feed, "unpacking")
    return MemberDecoder(feed, packing_of(image_format), "unpacking")


def drained(decoder: Decoder, view_bytes: int = 65536, keep: Callable[[memoryview], object] = len) -> int:
    """Read it to its end through a view of that size; how many bytes there were."""
    view, count = memoryview(bytearray(view_bytes)), 0
    while True:
        got = decoder.fill(view)
        keep(view[:got])
        count += got
        if got < view_bytes:
            return count


def unpacked(file: bytes, image_format: ImageFormat, piece_bytes: int = 10_000, view_bytes: int = 65536) -> bytes:
    """Everything."""
    out = bytearray()
    drained(decoder_of(feed_of(file, piece_bytes), image_format), view_bytes, out.extend)
    return bytes(out)
