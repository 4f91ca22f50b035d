# SPDX-License-Identifier: Apache-2.0
"""The classic partition table (MBR, "dos"), bytes ↔ values. Pure. Four primary records; extended ones stay closed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.errors import ImageTooLarge, PartitionTableError

if TYPE_CHECKING:  # whoever only reads a table starts without all that is ever planned
    from agent.model.plan import Partition

RECORD = struct.Struct("<B3sB3sII")
FAT32_LBA = 0x0C
LBA_ONLY = b"\xfe\xff\xff"
"""The cylinder/head/sector of what lies beyond their reach."""
FIRST_RECORD = 446
DISK_NUMBER = slice(440, 444)
PROTECTIVE = 0xEE
"""The type of the record that says: there is a GPT, leave this disk alone."""


@dataclass(frozen=True)
class Record:
    """One used record."""

    slot: int
    active: bool
    kind: int
    first_lba: int
    sectors: int


def parse(head: bytes) -> tuple[Record, ...] | None:
    """The used records; `None` if the first sector is no partition table: a filesystem's boot sector may sign, too."""
    if len(head) < 512 or head[510:512] != b"\x55\xaa":
        return None
    records = []
    for slot in range(4):
        flag, _, kind, _, first, sectors = RECORD.unpack_from(head, FIRST_RECORD + 16 * slot)
        if flag not in (0, 0x80):
            return None
        if kind and sectors:
            records.append(Record(slot, flag == 0x80, kind, first, sectors))
    return tuple(records) or None


def is_in_force(head: bytes) -> bool:
    """Whether these records are the disk's table. A GPT counts only behind a protective record (UEFI 5.2.3): Linux
    and firmware take no notice of one that is left over from a disk's earlier life.
    """
    records = parse(head)
    return records is not None and all(record.kind != PROTECTIVE for record in records)


def fit(head: bytes, disk_bytes: int, sector_bytes: int, add: tuple[Partition, ...]) -> bytes:
    """The head with these partitions added. Raises `ImageTooLarge`, `PartitionTableError`."""
    records = list(parse(head) or ())
    disk_sectors = disk_bytes // sector_bytes
    for record in records:
        if record.first_lba + record.sectors > disk_sectors:
            raise ImageTooLarge("fitting the image's table to the disk", f"partition {record.slot + 1} ends past it")
    new = bytearray(head)
    for partition in add:
        record = added(records, partition, sector_bytes)
        records.append(record)
        RECORD.pack_into(new, FIRST_RECORD + 16 * record.slot, 0, LBA_ONLY, FAT32_LBA, LBA_ONLY,
                         record.first_lba, record.sectors)  # fmt: skip
    return bytes(new)


def added(records: list[Record], partition: Partition, sector_bytes: int) -> Record:
    """The record for a new partition."""
    doing = f"adding the partition '{partition.label}'"
    first, sectors = partition.offset_bytes // sector_bytes, partition.size_bytes // sector_bytes
    slot = next((slot for slot in range(4) if slot not in {record.slot for record in records}), None)
    if slot is None:
        raise PartitionTableError(doing, "the image has four primary partitions already: it may have three")
    if first + sectors > 0xFFFFFFFF:
        raise PartitionTableError(doing, "an MBR cannot reach the end of a disk this large: use an image with a GPT")
    for record in records:
        if record.first_lba < first + sectors and first < record.first_lba + record.sectors:
            raise PartitionTableError(doing, f"it would overlap partition {record.slot + 1}")
    return Record(slot, False, FAT32_LBA, first, sectors)


def without(head: bytes, numbers: frozenset[int]) -> bytes:
    """The head with these primary records cleared."""
    new = bytearray(head)
    for number in numbers & {1, 2, 3, 4}:
        start = FIRST_RECORD + 16 * (number - 1)
        new[start : start + 16] = bytes(16)
    return bytes(new)
