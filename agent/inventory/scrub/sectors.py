# SPDX-License-Identifier: Apache-2.0
"""What a recording may hold of a disk: its partition tables, and what leads to the loaders of an EFI system partition.

Pure. In: the pieces that were read. Out: the same pieces, blank where anything else was; names of partitions are other
names, and checksums that were right are right again, while a table that was damaged stays so.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from agent.host.fake.tree import Unreadable, zeroes
from agent.inventory.scrub.devices import guid, number
from agent.inventory.scrub.folders import overlaid, scrubbed_folders
from agent.inventory.scrub.pseudonym import Pseudonyms
from agent.model.gpt import ENTRY_HEAD, HEADER, MOST_ENTRIES, SIGNATURE
from agent.model.mbr import DISK_NUMBER

Pieces = Mapping[int, bytes | Unreadable]
MBR_BYTES, BOOT_CODE = 512, slice(0, 440)
THERE_IS_CODE = b"\xfa"
HEADER_CRC, DISK_GUID, ENTRIES_AT, ENTRIES_CRC = 16, slice(56, 72), 72, 88
NAME_AT = 56
FAT_SECTOR, FAT_SECTORS = slice(0x0B, 0x0D), frozenset({512, 1024, 2048, 4096})
NARROW_SIZE, NARROW, WIDE = slice(0x16, 0x18), 0x26, 0x42
"""FAT32 has no size of 16 bits. Where the mark is, behind which comes the number: in FAT12 and FAT16, and in FAT32."""
FAT_MARK, FAT_NUMBER_BYTES = 0x29, 4
CRC = struct.Struct("<I")


def scrubbed_pieces(names: Pseudonyms, pieces: Pieces, disk_bytes: int, sector: int) -> dict[int, bytes | Unreadable]:
    """Of one disk."""
    new: dict[int, bytes | Unreadable] = {}
    folders = scrubbed_folders(names, pieces, sector)
    for offset, piece in pieces.items():
        if isinstance(piece, Unreadable):
            new[offset] = piece
        elif offset == 0:
            new |= trimmed(offset, head(names, piece, sector))
        elif offset + len(piece) == disk_bytes:
            new |= trimmed(offset, tail(names, piece, disk_bytes, sector))
        else:
            new |= trimmed(offset, overlaid(offset, filesystem(names, piece), folders))
    return new


def trimmed(offset: int, piece: bytes) -> dict[int, bytes]:
    """The same bytes, with the zeroes before and behind for themselves."""
    start = (len(piece) - len(piece.lstrip(b"\0"))) // MBR_BYTES * MBR_BYTES
    end = min(-(-len(piece.rstrip(b"\0")) // MBR_BYTES) * MBR_BYTES, len(piece))
    if end <= start:
        return {offset: zeroes(len(piece))}
    parts = ((0, zeroes(start) if start else b""), (start, piece[start:end]),
             (end, zeroes(len(piece) - end) if end < len(piece) else b""))  # fmt: skip
    return {offset + at: part for at, part in parts if part}


def head(names: Pseudonyms, piece: bytes, sector: int) -> bytes:
    """The records of an MBR, a GPT, and whether there is code to boot."""
    new = bytearray(len(piece))
    if len(piece) < MBR_BYTES:
        return bytes(new)
    new[BOOT_CODE.stop : MBR_BYTES] = piece[BOOT_CODE.stop : MBR_BYTES]
    new[DISK_NUMBER] = number(names, piece[DISK_NUMBER])
    if any(piece[BOOT_CODE]):
        new[:1] = THERE_IS_CODE
    take_table(names, piece, new, sector, sector, 0)
    return bytes(new)


def tail(names: Pseudonyms, piece: bytes, disk_bytes: int, sector: int) -> bytes:
    """The copy of a GPT at a disk's end."""
    new = bytearray(len(piece))
    take_table(names, piece, new, len(piece) - sector, sector, disk_bytes - len(piece))
    return bytes(new)


def take_table(names: Pseudonyms, old: bytes, new: bytearray, at: int, sector: int, begins_at: int) -> None:
    """A GPT, if its header is there at `at`; `begins_at` is where on the disk these bytes begin."""
    header = bytearray(old[at : at + sector]) if at >= 0 else bytearray()
    if len(header) < HEADER.size or header[:8] != SIGNATURE:
        return
    _, _, size, crc, _, _, _, _, _, _, entries_lba, count, each, entries_crc = HEADER.unpack_from(header)
    header[DISK_GUID] = guid(names, bytes(header[DISK_GUID]))
    start = entries_lba * sector - begins_at
    array = bytearray(old[start : start + min(count, MOST_ENTRIES) * each]) if start >= 0 else bytearray()
    if zlib.crc32(array) == entries_crc and each >= ENTRY_HEAD.size:
        for place in range(0, len(array), each):
            if any(array[place : place + 16]):
                array[place + 16 : place + 32] = guid(names, bytes(array[place + 16 : place + 32]))
                array[place + NAME_AT : place + ENTRY_HEAD.size] = names.wide(
                    bytes(array[place + NAME_AT : place + ENTRY_HEAD.size])
                )
        header[ENTRIES_CRC : ENTRIES_CRC + 4] = CRC.pack(zlib.crc32(array))
        new[start : start + len(array)] = array
    if size <= sector and is_right(old[at : at + size], crc):
        header[HEADER_CRC : HEADER_CRC + 4] = CRC.pack(sum_of(bytes(header[:size])))
    new[at : at + HEADER.size] = header[: HEADER.size]


def is_right(header: bytes, crc: int) -> bool:
    """Whether a header's own sum is that."""
    return len(header) >= HEADER.size and sum_of(header) == crc


def sum_of(header: bytes) -> int:
    """Of a header, with its sum left out (UEFI 2.10, section 5.3.2)."""
    return zlib.crc32(header[:HEADER_CRC] + bytes(4) + header[HEADER_CRC + 4 :])


def filesystem(names: Pseudonyms, piece: bytes) -> bytes:
    """A piece of an EFI system partition: its number, if it begins here."""
    new = bytearray(names.raw(piece))
    mark = NARROW if any(piece[NARROW_SIZE]) else WIDE
    place = slice(mark + 1, mark + 1 + FAT_NUMBER_BYTES)
    if int.from_bytes(piece[FAT_SECTOR], "little") in FAT_SECTORS and piece[mark : mark + 1] == bytes([FAT_MARK]):
        new[place] = number(names, piece[place])
    return bytes(new)
