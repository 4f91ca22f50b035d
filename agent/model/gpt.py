# SPDX-License-Identifier: Apache-2.0
"""The GUID partition table (UEFI 2.10, section 5.3), bytes ↔ values. Pure.

In: the first bytes of a disk or image. Out: the table, and the table fitted to a larger disk: the backup at the real
end, the usable area up to it, partitions added.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from agent.errors import DecodeError, ImageTooLarge, PartitionTableError

if TYPE_CHECKING:  # whoever only reads a table starts without all that is ever planned
    from agent.model.plan import Partition, PartitionKind

SIGNATURE = b"EFI PART"
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY_HEAD = struct.Struct("<16s16sQQQ72s")
PROTECTIVE_RECORD = struct.Struct("<B3sB3sII")
BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
"""Microsoft's basic data: what a vfat partition that is no ESP bears."""
TYPES: dict[PartitionKind, UUID] = {
    "data": BASIC_DATA,
    "esp": UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    "linux": UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    "swap": UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
}
FIRST_RECORD = 446
NEW_ENTRIES, NEW_ENTRY_BYTES = 128, 128
"""As many as everybody's tables have (UEFI 2.10, 5.3.1: at least 16 KiB)."""
MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Entry:
    """One used entry. `slot` counts from 0; both LBAs are part of the partition."""

    slot: int
    type_guid: UUID
    guid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    name: str


@dataclass(frozen=True)
class Gpt:
    """A primary table. LBAs count sectors of `sector_bytes`."""

    sector_bytes: int
    disk_guid: UUID
    first_usable_lba: int
    last_usable_lba: int
    alternate_lba: int
    entries_lba: int
    entry_count: int
    entry_bytes: int
    entries: tuple[Entry, ...]

    @property
    def entry_sectors(self) -> int:
        """What the array of entries takes."""
        return -(-self.entry_count * self.entry_bytes // self.sector_bytes)


def sector_bytes_of(head: bytes) -> int | None:
    """The sector size for which `head` has a GPT: the header is in LBA 1. `None` without one."""
    return next((size for size in (512, 4096) if head[size : size + 8] == SIGNATURE), None)


def parse(head: bytes, sector_bytes: int) -> Gpt:
    """The primary table at the beginning of a disk. Raises `DecodeError`, whatever the bytes are."""
    doing = "reading the GPT"
    raw = head[sector_bytes : 2 * sector_bytes]
    if len(raw) < HEADER.size:
        raise DecodeError(doing, "the head is too short")
    signature, _, size, crc, _, own, alternate, first, last, guid, at, count, each, entries_crc = HEADER.unpack_from(
        raw
    )
    if signature != SIGNATURE or not HEADER.size <= size <= sector_bytes or own != 1:
        raise DecodeError(doing, "the header is not one of a primary GPT")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        raise DecodeError(doing, "the header's checksum is wrong")
    array = head[at * sector_bytes : at * sector_bytes + count * each]
    if at < 2 or each < ENTRY_HEAD.size or each % 8 or count > MOST_ENTRIES or len(array) != count * each:
        raise DecodeError(doing, f"{count} entries of {each} bytes at LBA {at} are not in the first {len(head)} bytes")
    if zlib.crc32(array) != entries_crc:
        raise DecodeError(doing, "the entries' checksum is wrong")
    found = (entry(array[slot * each : (slot + 1) * each], slot) for slot in range(count))
    return Gpt(
        sector_bytes, UUID(bytes_le=guid), first, last, alternate, at, count, each, tuple(one for one in found if one)
    )


def parse_backup(tail: bytes, sector_bytes: int, disk_bytes: int) -> tuple[Entry, ...]:
    """The entries of the table at a disk's end, of which `tail` is the last part. Raises `DecodeError`."""
    doing, last = "reading the backup GPT", disk_bytes // sector_bytes - 1
    raw = tail[-sector_bytes:]
    if len(raw) < HEADER.size:
        raise DecodeError(doing, "the disk's end is too short")
    signature, _, size, crc, _, own, _, _, _, _, at, count, each, entries_crc = HEADER.unpack_from(raw)
    if signature != SIGNATURE or not HEADER.size <= size <= sector_bytes or own != last:
        raise DecodeError(doing, "the last sector is no header of one")
    start = len(tail) - (disk_bytes - at * sector_bytes)
    if start < 0 or each < ENTRY_HEAD.size or each % 8 or count > MOST_ENTRIES or start + count * each > len(tail):
        raise DecodeError(doing, f"{count} entries of {each} bytes at LBA {at} are not in the last {len(tail)} bytes")
    array = tail[start : start + count * each]
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc or zlib.crc32(array) != entries_crc:
        raise DecodeError(doing, "a checksum is wrong")
    found = (entry(array[slot * each : (slot + 1) * each], slot) for slot in range(count))
    return tuple(one for one in found if one)


def blank(disk_guid: UUID, disk_bytes: int, sector_bytes: int, head_bytes: int) -> bytes:
    """The first bytes of a disk that has a GPT without partitions: nothing in it is of an image's."""
    sectors = disk_bytes // sector_bytes
    entry_sectors = -(-NEW_ENTRIES * NEW_ENTRY_BYTES // sector_bytes)
    table = Gpt(sector_bytes, disk_guid, 2 + entry_sectors, sectors - 2 - entry_sectors, sectors - 1, 2, NEW_ENTRIES,
                NEW_ENTRY_BYTES, ())  # fmt: skip
    head = bytearray(head_bytes)
    # UEFI 2.10, 5.2.3: from LBA 1 on, and as far as a record can say
    PROTECTIVE_RECORD.pack_into(head, FIRST_RECORD, 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1,
                                min(sectors - 1, 0xFFFFFFFF))  # fmt: skip
    head[510:512] = b"\x55\xaa"
    array = bytes(NEW_ENTRIES * NEW_ENTRY_BYTES)
    head[sector_bytes : 2 * sector_bytes] = header_of(table, array, backup=False)
    return bytes(head)


def entry(raw: bytes, slot: int) -> Entry | None:
    """One entry; `None` if it is free."""
    kind, guid, first, last, attributes, name = ENTRY_HEAD.unpack_from(raw)
    if kind == bytes(16):
        return None
    text = name.decode("utf-16-le", errors="replace").partition("\0")[0]
    return Entry(slot, UUID(bytes_le=kind), UUID(bytes_le=guid), first, last, attributes, text)


def fitted(table: Gpt, disk_bytes: int, add: tuple[Partition, ...]) -> Gpt:
    """The table for a disk of that size, with these partitions. Raises `ImageTooLarge`, `PartitionTableError`."""
    sectors = disk_bytes // table.sector_bytes
    last_usable = sectors - 2 - table.entry_sectors
    beyond = [one for one in table.entries if one.last_lba > last_usable]
    if beyond:
        told = (
            f"partition {beyond[0].slot + 1} ends at LBA {beyond[0].last_lba}, the disk's last usable is {last_usable}"
        )
        raise ImageTooLarge("fitting the image's GPT to the disk", told)
    grown = replace(table, alternate_lba=sectors - 1, last_usable_lba=last_usable)
    for partition in add:
        grown = replace(grown, entries=(*grown.entries, added(grown, partition)))
    return grown


def added(table: Gpt, partition: Partition) -> Entry:
    """The entry for a new partition; its GUID follows from the disk's and the label, since nothing here is random."""
    doing = f"adding the partition '{partition.label}'"
    first = partition.offset_bytes // table.sector_bytes
    last = (partition.offset_bytes + partition.size_bytes) // table.sector_bytes - 1
    if first < table.first_usable_lba or last > table.last_usable_lba:
        raise PartitionTableError(doing, f"LBA {first} to {last} is not in the table's usable area")
    for one in table.entries:
        if one.first_lba <= last and first <= one.last_lba:
            raise PartitionTableError(doing, f"it would overlap partition {one.slot + 1}")
        if one.name == partition.label:
            raise PartitionTableError(doing, f"partition {one.slot + 1} of the image has that name already")
    taken = {one.slot for one in table.entries}
    slot = next((slot for slot in range(table.entry_count) if slot not in taken), None)
    if slot is None:
        raise PartitionTableError(doing, "the image's GPT has no free entry")
    kind, guid = TYPES[partition.kind], uuid5(table.disk_guid, partition.label)
    return Entry(slot, kind, guid, first, last, 0, partition.label)


def array_of(table: Gpt, old: bytes) -> bytes:
    """The array of entries; bytes of `old` that we have no name for (longer entries) stay."""
    array = bytearray(old)
    for one in table.entries:
        name = one.name.encode("utf-16-le")[:72].ljust(72, b"\0")
        ENTRY_HEAD.pack_into(array, one.slot * table.entry_bytes, one.type_guid.bytes_le, one.guid.bytes_le,
                             one.first_lba, one.last_lba, one.attributes, name)  # fmt: skip
    return bytes(array)


def header_of(table: Gpt, array: bytes, *, backup: bool) -> bytes:
    """The header's sector, primary or backup (5.3.2)."""
    own, other = (table.alternate_lba, 1) if backup else (1, table.alternate_lba)
    at = table.last_usable_lba + 1 if backup else table.entries_lba
    fields = (table.first_usable_lba, table.last_usable_lba, table.disk_guid.bytes_le, at, table.entry_count,
              table.entry_bytes, zlib.crc32(array))  # fmt: skip
    blank = HEADER.pack(SIGNATURE, 0x00010000, HEADER.size, 0, 0, own, other, *fields)
    return (blank[:16] + struct.pack("<I", zlib.crc32(blank)) + blank[20:]).ljust(table.sector_bytes, b"\0")


def fit(head: bytes, disk_bytes: int, sector_bytes: int, add: tuple[Partition, ...]) -> tuple[bytes, bytes]:
    """(new head, tail): the head of the same length, and the backup table, which ends where the disk ends."""
    before = parse(head, sector_bytes)
    table = fitted(before, disk_bytes, add)
    start = table.entries_lba * sector_bytes
    array = array_of(table, head[start : start + table.entry_count * table.entry_bytes])
    new = bytearray(head)
    new[446:510] = protective(head[446:510], disk_bytes // sector_bytes)
    new[sector_bytes : 2 * sector_bytes] = header_of(table, array, backup=False)
    new[start : start + len(array)] = array
    tail = array.ljust(table.entry_sectors * sector_bytes, b"\0") + header_of(table, array, backup=True)
    return bytes(new), tail


def protective(records: bytes, sectors: int) -> bytes:
    """The four MBR records with the protective one (type 0xEE) reaching to the disk's end (5.2.3)."""
    out = bytearray(records)
    for at in range(0, 64, 16):
        if out[at + 4] == 0xEE:
            first = struct.unpack_from("<I", out, at + 8)[0]
            if first >= sectors:
                told = f"its protective record begins at LBA {first}, the disk has {sectors}"
                raise DecodeError("fitting the image's GPT to the disk", told)
            struct.pack_into("<I", out, at + 12, min(sectors - first, 0xFFFFFFFF))
    return bytes(out)


def without(head: bytes, sector_bytes: int, numbers: frozenset[int]) -> bytes:
    """The head with those entries cleared that there are. The backup, which is elsewhere, is the old one then."""
    table = parse(head, sector_bytes)
    start, each = table.entries_lba * sector_bytes, table.entry_bytes
    new = bytearray(head)
    for slot in (one.slot for one in table.entries if one.slot + 1 in numbers):
        new[start + slot * each : start + (slot + 1) * each] = bytes(each)
    array = bytes(new[start : start + table.entry_count * each])
    new[sector_bytes : 2 * sector_bytes] = header_of(table, array, backup=False)
    return bytes(new)
