# SPDX-License-Identifier: Apache-2.0
"""gzip (RFC 1952), xz and bzip2: files that are one packed member, or several, one after another.

gzip by ISA-L, which takes 0.4 of zlib's time; both check the members' checksums and lengths.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

from isal import igzip_lib

from agent.apply.decode import Pieces
from agent.errors import ImageError, ImageRefused, ImageTruncated
from agent.model.image import ImageFormat

SLICE_BYTES = 64 * 1024
"""So much is handed on at once: a member's end gives the rest back as a copy."""
PIECE_BYTES = 256 * 1024
"""So much is asked for at once: what comes is gathered in memory of the unpacker's own, and copied from there."""
XZ_MEMORY_BYTES = 136 * 1024 * 1024
"""A dictionary of 128 MiB and what goes with it. `xz -6` makes 8 MiB, `xz -9` 64 MiB: who packs with it lets every
machine that unpacks it pay with so much more memory.
"""
XZ_PADDING_BYTES = 4
"""Zeroes may follow a stream in whole fours (The .xz File Format 1.2.1, section 2.2)."""


class Member(Protocol):
    """One member's unpacker. Once `eof`, what followed is in `unused_data`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, max_length: int) -> bytes: ...


@dataclass(frozen=True)
class Packing:
    """A kind of members."""

    name: str
    member: Callable[[], Member]
    failures: tuple[type[Exception], ...]
    padding_bytes: int = 1
    """Zeroes may stand between members in whole multiples of this; 1: none may."""


def packing_of(image_format: ImageFormat) -> Packing:
    """For the three formats that are made of members."""
    match image_format:
        case ImageFormat.RAW_GZ:
            gzip = igzip_lib.DECOMP_GZIP
            return Packing("gzip", lambda: igzip_lib.IgzipDecompressor(flag=gzip), (igzip_lib.IsalError,))  # type: ignore[arg-type] # the stub says that it is an instance
        case ImageFormat.RAW_XZ:
            return Packing(
                "xz",
                lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES),
                (lzma.LZMAError,),
                XZ_PADDING_BYTES,
            )
        case ImageFormat.RAW_BZ2:
            return Packing("bzip2", bz2.BZ2Decompressor, (OSError, ValueError))
        case ImageFormat.RAW | ImageFormat.RAW_ZST | ImageFormat.QCOW2 | ImageFormat.CHUNKED:
            raise ImageError("unpacking", f"{image_format} is not made of members")
    assert_never(image_format)


class MemberDecoder:
    """`Decoder` of gzip, xz and bzip2."""

    def __init__(self, feed: Pieces, packing: Packing, doing: str) -> None:
        self._feed = feed
        self._packing = packing
        self._doing = doing
        self._view = memoryview(b"")
        self._at = 0
        self._member: Member | None = None

    def fill(self, view: memoryview) -> int:
        """As promised by `Decoder`."""
        count = 0
        while count < len(view) and self._has_more():
            piece = self._unpacked(len(view) - count)
            view[count : count + len(piece)] = piece
            count += len(piece)
        return count

    def _has_more(self) -> bool:
        """Whether there is a member to go on with, or another one."""
        if self._member is not None and not self._member.eof:
            return True
        if self._packing.padding_bytes > 1 and self._member is not None:
            self._skip_padding()
        if not self._look():
            return False
        self._member = self._packing.member()
        return True

    def _unpacked(self, most: int) -> bytes:
        """Some bytes; perhaps none."""
        member = self._member
        assert member is not None
        piece = self._take() if member.needs_input else memoryview(b"")
        if member.needs_input and not piece:
            raise ImageTruncated(self._doing, f"it ends in the middle of {self._packing.name}")
        try:
            out = member.decompress(piece, min(most, PIECE_BYTES))
        except self._packing.failures as error:
            if "Memory usage limit" in str(error):  # liblzma says so in no other way
                told = f"its dictionary takes more than {XZ_MEMORY_BYTES} bytes of memory"
                raise ImageRefused(self._doing, told, hint="Pack it by xz -9 or less.") from error
            raise ImageError(self._doing, f"it is not intact {self._packing.name}") from error
        if member.eof:  # it was given no more before it had used all of the slice before
            self._at -= len(member.unused_data)
        return out

    def _take(self) -> memoryview:
        """The next slice of the file; empty at its end."""
        piece = self._look()
        self._at += len(piece)
        return piece

    def _look(self) -> memoryview:
        if self._at == len(self._view):
            self._view, self._at = self._feed.read(), 0
        return self._view[self._at : self._at + SLICE_BYTES]

    def _skip_padding(self) -> None:
        count = 0
        while piece := self._look():
            zeroes = len(piece) - len(bytes(piece).lstrip(b"\0"))
            self._at += zeroes
            count += zeroes
            if zeroes < len(piece):
                break
        if count % self._packing.padding_bytes:
            raise ImageError(self._doing, f"it is not intact {self._packing.name}: {count} zeroes between two streams")
