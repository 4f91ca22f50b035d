# SPDX-License-Identifier: Apache-2.0
"""Swap space: its header page is kept (UUID, size: what fstab finds it by), what was swapped out is not. Pure.

include/linux/swap.h: the mark ends the first page, whose size is that of the machine's pages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, text

MARK, MARK_BYTES = b"SWAPSPACE2", 10
HIBERNATED = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001")
PAGES = (4096, 8192, 16384, 65536)
DOING = "reading the swap space"


class Swap:
    """One swap space."""

    kind = "swap"
    elsewhere = None

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none."""
        sizes = [size for size in PAGES if size <= size_bytes]
        marks = {size: read(size - MARK_BYTES, MARK_BYTES) for size in sizes}
        found = [size for size, mark in marks.items() if mark == MARK or mark.startswith(HIBERNATED)]
        if not found:
            raise DecodeError(DOING, "no header")
        self.page_bytes = found[0]
        self.size_bytes = size_bytes  # behind its last page is nothing but what an older one had swapped out
        self.hibernated = marks[self.page_bytes] != MARK
        header = read(1024, 44)
        (self.version,) = struct.unpack_from("<I", header)
        self.uuid = str(UUID(bytes=header[12:28]))
        self.label = text(header[28:44])

    @property
    def unclean(self) -> str | None:
        """The machine was put to sleep: what its filesystems hold is half in here."""
        return "a machine hibernated into it" if self.hibernated else None

    def used(self) -> Iterator[Extent]:
        """The header."""
        yield 0, self.page_bytes
