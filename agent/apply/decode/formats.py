# SPDX-License-Identifier: Apache-2.0
"""Which unpacker and how much memory each format has."""

from __future__ import annotations

from typing import assert_never

from agent.apply.crew import Crew
from agent.apply.decode.members import MemberDecoder, packing_of
from agent.apply.decode.qcow2 import SCRATCH_BYTES, Qcow2Unpacker
from agent.apply.decode.unpack import RawUnpacker, StreamUnpacker, Unpacker
from agent.apply.decode.zstd import ZstdDecoder
from agent.apply.meter import Meter
from agent.apply.ring import Feed, Ring
from agent.apply.source import Source
from agent.errors import InputError
from agent.host.doors import Clock
from agent.host.memory import HUGE_PAGE_BYTES
from agent.model.disk import MIB
from agent.model.image import ImageFormat

__all__ = ["SCRATCH_BYTES", "ring_of", "unpacker_of"]

USERS = 2
"""The hasher and the unpacker."""


def ring_of(image_format: ImageFormat, crew: Crew) -> Ring:
    """What is written from the ring itself has larger slots; what is unpacked has its memory behind it."""
    match image_format:
        case ImageFormat.RAW | ImageFormat.QCOW2:
            return Ring(crew, 3, 2 * HUGE_PAGE_BYTES, USERS)
        case _:
            return Ring(crew, 6, MIB, USERS)


def unpacker_of(source: Source, feed: Feed, crew: Crew, clock: Clock, meter: Meter, doing: str) -> Unpacker:
    """Fed with the file."""
    image_format = source.image.format
    match image_format:
        case ImageFormat.RAW:
            return RawUnpacker(feed)
        case ImageFormat.RAW_ZST:
            return StreamUnpacker(lambda fed: ZstdDecoder(fed, doing), feed, crew, clock, meter, doing)
        case ImageFormat.RAW_GZ | ImageFormat.RAW_XZ | ImageFormat.RAW_BZ2:
            packing = packing_of(image_format)
            return StreamUnpacker(lambda fed: MemberDecoder(fed, packing, doing), feed, crew, clock, meter, doing)
        case ImageFormat.QCOW2:
            return Qcow2Unpacker(source, feed, meter, doing)
        case ImageFormat.CHUNKED:
            raise InputError(doing, f"{image_format} is not read as a stream")
    assert_never(image_format)
