# SPDX-License-Identifier: Apache-2.0
"""Measures of compressed streams: gzip, xz, bzip2, zstd. Any number of members, one after the other, is one stream.

A small input may unpack to much, so every library is asked for a bounded piece at a time. A stream that ends within a
member is refused: most libraries take that for the end.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

import zstandard
from isal import igzip_lib

from agent.controller.measure import Counter, Unpacked
from agent.controller.refusal import BadImage
from agent.model.image import ImageFormat

PIECE_BYTES = 1024 * 1024
MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""What `zstd --long` (27 bits) needs; more is refused, since the node would have to hold it too."""
XZ_MEMORY_BYTES = 136 * 1024 * 1024
"""The same for xz, and what goes with it."""
# The stub says that IsalError is an instance.
FAULTS: tuple[type[Exception], ...] = (igzip_lib.IsalError, lzma.LZMAError, OSError, EOFError)  # type: ignore[assignment]

ONE_BYTE_FRAME = zstandard.ZstdCompressor().compress(b"\0")
"""Fed to the unpacker at the end: it comes out as one byte only if the frame before it was complete."""


class Unpacker(Protocol):
    """One member's, as `bz2` and `lzma` have it."""

    @property
    def eof(self) -> bool:
        """The member is over."""
        ...

    @property
    def needs_input(self) -> bool:
        """There is nothing more without input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after it."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most so many bytes of it."""
        ...


@dataclass(frozen=True)
class Packing:
    """A kind of members, as `agent.apply.decode.members` unpacks them on the node."""

    name: str
    member: Callable[[], Unpacker]
    padding_bytes: int = 1
    """Zeroes may stand between members in whole multiples of this; 1: none may."""


def open_gzip() -> Unpacker:
    """Header and checksum of gzip."""
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def open_xz() -> Unpacker:
    """A dictionary of 128 MiB and what goes with it."""
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)


PACKINGS = {
    ImageFormat.RAW_GZ: Packing("gzip", open_gzip),
    ImageFormat.RAW_XZ: Packing("xz", open_xz, padding_bytes=4),
    ImageFormat.RAW_BZ2: Packing("bzip2", bz2.BZ2Decompressor),
}


class Members:
    """A stream of members, each with an unpacker of its own."""

    def __init__(self, packing: Packing, limit: int) -> None:
        self._packing = packing
        self._counter = Counter(limit)
        self._member: Unpacker | None = None
        self._members = 0
        self._padding = 0

    def write(self, data: bytes) -> None:
        """The file's next bytes. Raises `BadImage`."""
        try:
            while data := self._unpack(data):
                pass
        except FAULTS as error:
            raise BadImage("unpacking an image", f"it is not whole, valid {self._packing.name} ({error})") from error

    def _unpack(self, data: bytes) -> bytes:
        """As far as its member goes; what is left after it."""
        if self._member is None:
            data = self._after_padding(data)
            if not data:
                return b""
            self._refuse_odd_padding()
            self._member = self._packing.member()
            self._members += 1
        member = self._member
        self._counter.write(member.decompress(data, PIECE_BYTES))
        while not (member.eof or member.needs_input):
            self._counter.write(member.decompress(b"", PIECE_BYTES))
        if not member.eof:
            return b""
        self._member = None
        return member.unused_data

    def _after_padding(self, data: bytes) -> bytes:
        if self._packing.padding_bytes == 1 or not self._members:
            return data
        rest = data.lstrip(b"\0")
        self._padding += len(data) - len(rest)
        return rest

    def _refuse_odd_padding(self) -> None:
        if self._padding % self._packing.padding_bytes:
            raise BadImage(
                "unpacking an image", f"{self._padding} zeroes stand between two {self._packing.name} streams"
            )
        self._padding = 0

    def finish(self, _file: BinaryIO) -> Unpacked:
        """Raises `BadImage`, if it ends within a member."""
        if self._member is not None or not self._members:
            raise BadImage("keeping an image", f"it ends in the middle of a {self._packing.name} stream")
        self._refuse_odd_padding()
        return self._counter.unpacked()


class Zstd:
    """zstd, frame by frame. The library unpacks as it is written to, in blocks of its own."""

    def __init__(self, limit: int) -> None:
        self._counter = Counter(limit)
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._unpack = unpacker.stream_writer(cast("BinaryIO", self._counter)).write

    def write(self, data: bytes) -> None:
        """The file's next bytes. Raises `BadImage`."""
        try:
            self._unpack(data)
        except zstandard.ZstdError as error:
            raise BadImage("unpacking an image", f"it is not whole, valid zstd ({error})") from error

    def finish(self, _file: BinaryIO) -> Unpacked:
        """Raises `BadImage`, if it ends within a frame."""
        unpacked = self._counter.unpacked()
        self.write(ONE_BYTE_FRAME)
        if self._counter.count != unpacked.size_bytes + 1:
            raise BadImage("keeping an image", "it ends in the middle of a zstd frame")
        return unpacked
