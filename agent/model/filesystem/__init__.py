# SPDX-License-Identifier: Apache-2.0
"""Filesystems as they lie on a disk: which one it is, and which of its bytes are in use. Pure.

Each parser takes `read(offset, length)` and says what its superblock says; `used()` gives the extents that belong to a
file or to the filesystem itself. The bytes may be hostile: the answer is extents inside the device or `DecodeError`,
with work bounded by what is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from agent.errors import DecodeError

Read = Callable[[int, int], bytes]
"""Exactly so many bytes, from that offset of the filesystem."""
Extent = tuple[int, int]
"""(offset, length) in bytes."""


class Filesystem(Protocol):
    """What a superblock says."""

    @property
    def kind(self) -> str:
        """As blkid calls it: ext4, xfs, btrfs, swap."""
        ...

    @property
    def size_bytes(self) -> int:
        """Where it ends: what lies behind, in the same partition, is somebody else's."""
        ...

    @property
    def uuid(self) -> str | None:
        """As fstab names it."""
        ...

    @property
    def label(self) -> str | None: ...

    @property
    def unclean(self) -> str | None:
        """Why its map of free space is not to be trusted, in words; `None` after a clean unmount."""
        ...

    @property
    def elsewhere(self) -> str | None:
        """What of it lies on another device, in words."""
        ...

    def used(self) -> Iterator[Extent]:
        """Ascending, without overlap, inside the device. Raises `DecodeError`."""
        ...


def bounded(read: Read, size_bytes: int) -> Read:
    """The same, but for what lies outside: that is `DecodeError`, since a superblock led there."""

    def inside(offset: int, length: int) -> bytes:
        if not 0 <= offset <= offset + length <= size_bytes:
            raise DecodeError("reading a filesystem", f"bytes {offset} to {offset + length} of {size_bytes}")
        return read(offset, length)

    return inside


def ascending(extents: Iterable[Extent], end: int, doing: str) -> Iterator[Extent]:
    """The same bytes with neighbours joined. Raises `DecodeError` for what is out of order or past the end."""
    start = stop = 0
    for offset, length in extents:
        if offset < stop or length < 0 or offset + length > end:
            raise DecodeError(doing, f"bytes {offset} to {offset + length} overlap, or lie past {end}")
        if offset > stop:
            if stop > start:
                yield start, stop - start
            start = offset
        stop = offset + length
    if stop > start:
        yield start, stop - start


def joined(extents: Iterable[Extent], end: int, doing: str) -> Iterator[Extent]:
    """The union of extents that are sorted, and may overlap. Raises `DecodeError` for what is past the end."""
    start = stop = 0
    for offset, length in extents:
        if offset + length > end:
            raise DecodeError(doing, f"bytes {offset} to {offset + length} lie past {end}")
        if offset > stop:
            if stop > start:
                yield start, stop - start
            start = offset
        stop = max(stop, offset + length)
    if stop > start:
        yield start, stop - start


def complement(free: Iterable[Extent], end: int, doing: str) -> Iterator[Extent]:
    """What is between ascending extents, from 0 to the end."""
    at = 0
    for offset, length in ascending(free, end, doing):
        if offset > at:
            yield at, offset - at
        at = offset + length
    if end > at:
        yield at, end - at


def less(extents: Iterable[Extent], others: Iterable[Extent]) -> Iterator[Extent]:
    """Ascending extents without what is in others, that ascend too."""
    rest = iter(others)
    hole, end = next(rest, (0, 0))
    end += hole
    for offset, length in extents:
        at, stop = offset, offset + length
        while at < stop:
            while end <= at and (following := next(rest, None)):
                hole, end = following[0], sum(following)
            if end <= at or hole >= stop:
                yield at, stop - at
                break
            if hole > at:
                yield at, hole - at
            at = end


def text(raw: bytes) -> str | None:
    """A label; `None` if there is none."""
    return raw.partition(b"\0")[0].decode("utf-8", errors="replace") or None
