# SPDX-License-Identifier: Apache-2.0
"""Folders of an EFI system partition, with nothing in them but what leads to loaders.

Pure. In: the pieces of a disk that were read. Out: what is to stand in their places. Whatever else is there, or was and
is deleted, is told to be deleted, without its name: kernels' folders are called by machine-ids, others by their owners.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agent.errors import DecodeError
from agent.host.fake.tree import Unreadable
from agent.inventory.efi import DEEPER, TOP, folders, is_list, is_program
from agent.inventory.scrub.pseudonym import Pseudonyms
from agent.model.esp import partitions
from agent.model.filesystem import Read
from agent.model.filesystem.fat import ENTRY_BYTES
from agent.model.filesystem.fat_files import DELETED, LAST, LONG_END, LONG_NAME, FatFiles, File, entries

ATTRIBUTES, CHECKSUM, SHORT_BYTES, STEM_BYTES = 11, 13, 11, 8
LETTERS = (slice(1, 11), slice(14, 26), slice(28, 32))
"""Of a long name, in one entry."""
GONE = bytes([DELETED]).ljust(ENTRY_BYTES, b"\0")


def scrubbed_folders(names: Pseudonyms, pieces: Mapping[int, bytes | Unreadable], sector: int) -> dict[int, bytes]:
    """By where on the disk they stand. A folder that was not read whole was not read by anybody further down either."""
    head = pieces.get(0)
    found: dict[int, bytes] = {}
    for one in partitions(head, sector) if isinstance(head, bytes) else ():
        start = one.first_lba * sector
        try:
            for at, new in partition_folders(names, reader(pieces, start), one.sectors * sector):
                found[start + at] = new
        except DecodeError:
            continue
    return found


def overlaid(offset: int, piece: bytes, found: Mapping[int, bytes]) -> bytes:
    """A piece with the folders that are in it, or a part of one."""
    new = bytearray(piece)
    for at, folder in found.items():
        start, end = max(at, offset), min(at + len(folder), offset + len(piece))
        if start < end:
            new[start - offset : end - offset] = folder[start - at : end - at]
    return bytes(new)


def reader(pieces: Mapping[int, bytes | Unreadable], start: int) -> Read:
    """Reads a partition where somebody has. It raises `DecodeError` where nobody has."""

    def read(offset: int, length: int) -> bytes:
        at = start + offset
        for begin, piece in ((at, pieces.get(at)), *pieces.items()):
            if isinstance(piece, bytes) and begin <= at and at + length <= begin + len(piece):
                return piece[at - begin : at - begin + length]
        raise DecodeError("reading a recorded disk", f"nobody has read {length} bytes at {at}")

    return read


def partition_folders(names: Pseudonyms, read: Read, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(offset, content), of all that the inventory looks into. Raises `DecodeError`."""
    files = FatFiles(read, size_bytes)
    yield from one_folder(names, files, read, "")
    yield from one_folder(names, files, read, TOP)
    for path in folders(files):
        yield from one_folder(names, files, read, path)


def one_folder(names: Pseudonyms, files: FatFiles, read: Read, path: str) -> Iterator[tuple[int, bytes]]:
    """One of them, as long as it was. Raises `DecodeError`."""
    places = files.places(path)
    new = folder(names, b"".join(read(*place) for place in places), path)
    for offset, size in places:
        yield offset, new[:size]
        new = new[size:]


def folder(names: Pseudonyms, raw: bytes, path: str) -> bytes:
    """Its entries; those of a long name stand before the one of the file."""
    new, begin = bytearray(), 0
    for at in range(0, len(raw) - ENTRY_BYTES + 1, ENTRY_BYTES):
        first, kind = raw[at], raw[at + ATTRIBUTES] & 0x3F
        if first == LAST:
            break
        if first != DELETED and kind == LONG_NAME:
            begin = at if first & LONG_END else begin
            continue
        kept = renamed(names, raw[begin : at + ENTRY_BYTES], path) if first != DELETED else b""
        new += GONE * ((at + ENTRY_BYTES - len(new) - len(kept)) // ENTRY_BYTES) + kept
        begin = at + ENTRY_BYTES
    return bytes(new.ljust(len(raw), b"\0"))


def renamed(names: Pseudonyms, together: bytes, path: str) -> bytes:
    """The entries of one file under its other name; nothing if it leads nowhere."""
    found = next(entries(together), None)
    long, short = together[:-ENTRY_BYTES], bytearray(together[-ENTRY_BYTES:])
    if found is None:  # a label, or the folder itself
        short[:SHORT_BYTES] = names.raw(bytes(short[:SHORT_BYTES]))
        return bytes(short)
    if not leads(found, path):
        return b""
    name = names.file_name(found.name)
    if name == found.name:
        return together
    if not long:
        short[:SHORT_BYTES] = names.raw(bytes(short[:SHORT_BYTES]))
        return bytes(short)
    stem, tilde, number = bytes(short[:STEM_BYTES]).partition(b"~")  # it begins as the long one does
    short[:STEM_BYTES] = re.sub(rb"[0-9A-Z]", b"X", stem) + tilde + number
    return long_entries(long, name, checksum(bytes(short[:SHORT_BYTES]))) + bytes(short)


def leads(found: File, path: str) -> bool:
    """Whether a recording needs it: the folders that `agent.inventory.efi` looks into, and loaders in them."""
    name = found.name.lower()
    if not path:
        return f"/{name}" == TOP.lower()
    if path == TOP:
        return found.is_directory
    return name == DEEPER if found.is_directory else is_program(name) or is_list(name)


def long_entries(long: bytes, name: str, checked: int) -> bytes:
    """The same entries with another name, which is as long."""
    new = bytearray(long)
    left = name.encode("utf-16-le")
    for at in reversed(range(0, len(new), ENTRY_BYTES)):
        new[at + CHECKSUM] = checked
        for place in LETTERS:
            size = min(len(left), place.stop - place.start)
            new[at + place.start : at + place.start + size] = left[:size]
            left = left[size:]
    return bytes(new)


def checksum(short: bytes) -> int:
    """Of a short name, by which its long one knows that it is still there (FAT specification, section "Long names")."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total
