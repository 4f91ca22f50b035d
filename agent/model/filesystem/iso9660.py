# SPDX-License-Identifier: Apache-2.0
"""The files of an ISO 9660 filesystem, as of a BMC's virtual CD: read from its bytes, so that nothing is mounted.

Names are Rock Ridge's, where it has them: Ironic writes its discs so (`mkisofs -r`, ironic/common/images.py). Pure.
Sources: ECMA-119; "System Use Sharing Protocol" 1.12; "Rock Ridge Interchange Protocol" 1.12. The bytes may be hostile:
the answer is a file's bytes or `DecodeError`, with work bounded by a directory's size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import DecodeError
from agent.model.filesystem import Read, bounded

DOING = "reading an ISO 9660 filesystem"
SECTOR_BYTES = 2048
FIRST_DESCRIPTOR, LAST_DESCRIPTOR = 16, 31
STANDARD, PRIMARY, TERMINATOR = b"CD001", 1, 255
RECORD = struct.Struct("<BBI4xI4x7xBBBHxxB")
"""ECMA-119, 9.1: length, its extension's, extent, size, date, flags, unit, gap, volume, length of the name."""
ROOT_AT, LABEL, PUBLISHER = 156, slice(40, 72), slice(318, 446)
DIRECTORY, CONTINUED = 0x02, 0x80
LARGEST_DIRECTORY_BYTES = 1 << 20
MOST_AREAS = 32
"""Of one record's system use: each leads to the next."""


class Entry(NamedTuple):
    """A file or directory."""

    name: str
    is_directory: bool
    block: int
    size_bytes: int
    is_whole: bool


class Iso:
    """One filesystem. Names are compared without regard to case, and paths begin with a slash."""

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none."""
        self._read = bounded(read, size_bytes)
        volume = self._primary()
        (self._block_bytes,) = struct.unpack_from("<H", volume, 128)
        if self._block_bytes not in (512, 1024, 2048):
            raise DecodeError(DOING, f"blocks of {self._block_bytes} bytes")
        self.label = text(volume[LABEL])
        self.publisher = text(volume[PUBLISHER])
        found = RECORD.unpack_from(volume, ROOT_AT)
        self._root = Entry("", True, found[2], found[3], True)
        self._skip = self._skipped()

    def names(self, directory: str) -> tuple[str, ...]:
        """What is in a directory; nothing if there is none of that name. Raises `DecodeError`."""
        found = self._find(directory)
        return tuple(each.name for each in self._listed(found)) if found and found.is_directory else ()

    def content(self, path: str, most_bytes: int) -> bytes | None:
        """A file's content; `None` if there is no file of that name. Raises `DecodeError` if it is larger."""
        found = self._find(path)
        if found is None or found.is_directory:
            return None
        if found.size_bytes > most_bytes or not found.is_whole:
            raise DecodeError(DOING, f"{path} has more than {most_bytes} bytes")
        return self._read(found.block * self._block_bytes, found.size_bytes)

    def _primary(self) -> bytes:
        for number in range(FIRST_DESCRIPTOR, LAST_DESCRIPTOR + 1):
            sector = self._read(number * SECTOR_BYTES, SECTOR_BYTES)
            if sector[1:6] != STANDARD or sector[0] == TERMINATOR:
                break
            if sector[0] == PRIMARY:
                return sector
        raise DecodeError(DOING, "it has no primary volume descriptor")

    def _skipped(self) -> int:
        """So many bytes of each system use are another protocol's; the root says so (SUSP, "SP")."""
        raw = self._read(self._root.block * self._block_bytes, min(self._root.size_bytes, self._block_bytes))
        first = next(records(raw), b"")
        use = system_use(first)
        return use[6] if use[:2] == b"SP" and len(use) > 6 and use[4:6] == b"\xbe\xef" else 0

    def _find(self, path: str) -> Entry | None:
        at: Entry | None = self._root
        for part in (part for part in path.split("/") if part):
            if at is None or not at.is_directory:
                return None
            at = next((each for each in self._listed(at) if each.name.casefold() == part.casefold()), None)
        return at

    def _listed(self, directory: Entry) -> Iterator[Entry]:
        if directory.size_bytes > LARGEST_DIRECTORY_BYTES:
            raise DecodeError(DOING, f"a directory of {directory.size_bytes} bytes")
        raw = self._read(directory.block * self._block_bytes, directory.size_bytes)
        for record in records(raw):
            _, _, block, size, flags, _, _, _, length = RECORD.unpack_from(record)
            own = record[RECORD.size : RECORD.size + length]
            if own not in (b"\0", b"\1"):  # itself, and the one above
                name = self._name(record) or plain(own)
                yield Entry(name, bool(flags & DIRECTORY), block, size, not flags & CONTINUED)

    def _name(self, record: bytes) -> str:
        """Rock Ridge's; it may go on in other places."""
        area, name = system_use(record)[self._skip :], b""
        for _ in range(MOST_AREAS):
            following = b""
            for field in fields(area):
                if field[:2] == b"NM" and len(field) >= 5:
                    name += field[5:]
                elif field[:2] == b"CE" and len(field) >= 28:
                    block, offset, length = struct.unpack_from("<I4xI4xI", field, 4)
                    following = self._read(block * self._block_bytes + offset, min(length, SECTOR_BYTES))
            if not following:
                return name.decode("utf-8", errors="replace")
            area = following
        raise DecodeError(DOING, "a name that has no end")


def records(raw: bytes) -> Iterator[bytes]:
    """A directory's records; none crosses a sector's end, what is left of a sector is zero (ECMA-119, 6.8.1.1)."""
    at = 0
    while at < len(raw):
        length = raw[at]
        if length == 0:
            at = (at // SECTOR_BYTES + 1) * SECTOR_BYTES
            continue
        record = raw[at : at + length]
        if length < RECORD.size or len(record) < length or RECORD.size + record[RECORD.size - 1] > length:
            raise DecodeError(DOING, f"a directory is damaged at byte {at}")
        yield record
        at += length


def system_use(record: bytes) -> bytes:
    """What stands behind a record's name, from an even place on."""
    return record[(RECORD.size + record[RECORD.size - 1] + 1) // 2 * 2 :] if record else b""


def fields(area: bytes) -> Iterator[bytes]:
    """Signature, length, version, and what belongs to it. Padding, or what is damaged, ends it."""
    at = 0
    while at + 4 <= len(area) and 4 <= area[at + 2] <= len(area) - at:
        yield area[at : at + area[at + 2]]
        at += area[at + 2]


def plain(raw: bytes) -> str:
    """`NAME.TXT;1` without its version, and without a dot that nothing follows."""
    return raw.decode("latin-1").partition(";")[0].rstrip(".").lower()


def text(raw: bytes) -> str:
    """Padded with blanks, or, against the standard, with zeroes."""
    return raw.decode("latin-1").partition("\0")[0].strip()
