# SPDX-License-Identifier: Apache-2.0
"""A whole disk, looked at: its table, what each partition holds, which bytes belong into an image of it. Pure.

An image ends where the last partition does: what follows is the table's backup, which `image deploy` writes anew for
the disk that it finds. The config drive of the old server, with its passwords, is no part of an image either.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from agent.errors import DecodeError
from agent.model import config_drive, gpt, mbr
from agent.model.disk import MIB
from agent.model.filesystem import Extent, Filesystem, Read, bounded
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.btrfs_subvolumes import Subvolumes
from agent.model.filesystem.extents import Extents
from agent.model.filesystem.known import kind_of, marked, open_filesystem, told
from agent.model.filesystem.lvm import members
from agent.model.partition_table import without

EXTENDED = (0x05, 0x0F, 0x85)
MOST_LOGICAL = 128
LARGE_BYTES = 4 * MIB
"""Tables, boot code and alignment take less."""
MOST_LOOKED_AT_BYTES = 64 * MIB
DOING = "reading the partition table"


@dataclass(frozen=True)
class Part:
    """A partition, or the whole of a disk without a table (number 0)."""

    number: int
    offset_bytes: int
    size_bytes: int
    kind: str | None = None
    guid: str | None = None
    name: str | None = None
    filesystem: Filesystem | None = field(default=None, repr=False)
    illegible: str | None = None
    """Why its map of free space cannot be read."""
    volumes: int | None = None
    """Of how many disks a volume group consists, where it can be told."""

    subvolumes: Subvolumes | None = None
    """Of a btrfs on this disk."""

    @property
    def end_bytes(self) -> int:
        """The first byte behind it."""
        return self.offset_bytes + self.size_bytes

    @property
    def title(self) -> str:
        """For people."""
        return f"partition {self.number} ({self.kind or 'unknown content'})" if self.number else "the disk"


@dataclass(frozen=True)
class Survey:
    """What there is. `left_out` are numbers of partitions that no image gets."""

    table: str
    sector_bytes: int
    disk_bytes: int
    parts: tuple[Part, ...]
    primaries: int
    head: bytes = field(repr=False)
    left_out: frozenset[int] = frozenset()
    outside: tuple[Extent, ...] = ()
    """Large places with data that belong to no filesystem, though they become part of the image."""

    @property
    def kept(self) -> tuple[Part, ...]:
        """By their place on the disk."""
        return tuple(part for part in self.parts if part.number not in self.left_out)

    @property
    def size_bytes(self) -> int:
        """Of an image."""
        return max((part.end_bytes for part in self.kept), default=self.disk_bytes)

    @property
    def new_head(self) -> bytes:
        """The disk's beginning without the partitions that are left out; empty where it stays as it is."""
        return without(self.head, self.sector_bytes, self.left_out) if self.left_out else b""

    def allocated(self, whole: frozenset[int] = frozenset()) -> tuple[Extents, dict[int, str]]:
        """(what belongs into an image, why a partition had to be taken whole by its number). Those in `whole` are."""
        extents, reasons, at, size_bytes = Extents(), {}, 0, self.size_bytes
        for part in self.parts:
            extents.add([(at, max(min(part.offset_bytes, size_bytes) - at, 0))])
            at = part.end_bytes
            if part.offset_bytes >= size_bytes or part.number in self.left_out:
                continue
            if part.filesystem is not None and part.number not in whole:
                try:
                    extents.add(used_and_behind(part, part.filesystem))
                    continue
                except DecodeError as error:
                    reasons[part.number] = told(error)
            extents.add([(part.offset_bytes, part.size_bytes)])
        return extents, reasons


def survey(read: Read, disk_bytes: int, sector_bytes: int, *, keep_drive: bool = False) -> Survey:
    """Raises `DecodeError` where the table cannot be read: what is on such a disk is not for us to guess."""
    read = bounded(read, disk_bytes)
    head = read(0, min(MIB, disk_bytes))
    if mbr.is_in_force(head):
        table, places = "dos", dos_places(read, head, sector_bytes)
    elif gpt.sector_bytes_of(head) is not None:
        table, places = "gpt", gpt_places(head, sector_bytes)
    elif mbr.parse(head) is not None:
        raise DecodeError(DOING, "it has the MBR of a GPT, and no GPT")
    else:
        table, places = "none", [Part(0, 0, disk_bytes)]
    in_order(places, disk_bytes)
    parts = tuple(looked_into(read, part) for part in places)
    drives = frozenset(part.number for part in parts if part.number and is_config_drive(read, part))
    primaries = sum(1 <= part.number <= 4 for part in parts) + (table == "dos" and has_extended(head))
    found = Survey(table, sector_bytes, disk_bytes, parts, primaries, head, frozenset() if keep_drive else drives)
    outside = (place for place in places_outside(found) if place[1] > LARGE_BYTES and holds_data(read, *place))
    return replace(found, outside=tuple(outside))


def places_outside(survey: Survey) -> Iterator[Extent]:
    """Between partitions, and between a filesystem's end and its partition's."""
    at = MIB
    for part in survey.kept:
        yield at, part.offset_bytes - at
        if part.filesystem is not None:
            yield part.offset_bytes + part.filesystem.size_bytes, part.size_bytes - part.filesystem.size_bytes
        at = part.end_bytes


def holds_data(read: Read, offset: int, length: int) -> bool:
    """Whether it is more than zeroes. One that is very large is taken to hold some."""
    pieces = ((at, min(MIB, offset + length - at)) for at in range(offset, offset + length, MIB))
    return length > MOST_LOOKED_AT_BYTES or any(read(at, size) != bytes(size) for at, size in pieces)


def gpt_places(head: bytes, sector_bytes: int) -> list[Part]:
    """Of a GPT."""
    found = [
        Part(one.slot + 1, one.first_lba * sector_bytes, (one.last_lba - one.first_lba + 1) * sector_bytes,
             guid=str(one.guid), name=one.name)
        for one in gpt.parse(head, sector_bytes).entries
    ]  # fmt: skip
    return sorted(found, key=lambda part: part.offset_bytes)


def dos_places(read: Read, head: bytes, sector_bytes: int) -> list[Part]:
    """Of an MBR: primary partitions, and the logical ones inside the extended one."""
    (disk_id,) = struct.unpack_from("<I", head, 440)
    found: list[Part] = []
    for record in mbr.parse(head) or ():
        if record.kind in EXTENDED:
            found += logical_places(read, record.first_lba, record.sectors, sector_bytes, disk_id)
        else:
            found.append(dos_part(record.slot + 1, record.first_lba, record.sectors, sector_bytes, disk_id))
    return sorted(found, key=lambda part: part.offset_bytes)


def logical_places(read: Read, extended: int, sectors: int, sector_bytes: int, disk_id: int) -> Iterator[Part]:
    """A chain of tables: the first record is the partition, counted from its table, the second the next table, counted
    from the extended partition's beginning (block/partitions/msdos.c). Tables must ascend, so the chain ends.
    """
    at, number = extended, 5
    while number < 5 + MOST_LOGICAL:
        records = mbr.parse(read(at * sector_bytes, 512)) or ()
        for record in records:
            if record.slot == 0 and record.kind not in EXTENDED:
                yield dos_part(number, at + record.first_lba, record.sectors, sector_bytes, disk_id)
                number += 1
        following = [extended + one.first_lba for one in records if one.kind in EXTENDED]
        if not following:
            return
        if not at < following[0] < extended + sectors:
            raise DecodeError(DOING, f"the table at sector {at} leads to sector {following[0]}")
        at = following[0]


def dos_part(number: int, first_lba: int, sectors: int, sector_bytes: int, disk_id: int) -> Part:
    """Its PARTUUID is the disk's number and its own (Documentation: root=PARTUUID=)."""
    return Part(number, first_lba * sector_bytes, sectors * sector_bytes, guid=f"{disk_id:08x}-{number:02x}")


def used_and_behind(part: Part, found: Filesystem) -> Iterator[Extent]:
    """On the disk: what a filesystem has in use; and what lies behind it, where dm-verity keeps its hashes and DRBD its
    state.
    """
    for start, length in found.used():
        yield part.offset_bytes + start, length
    yield part.offset_bytes + found.size_bytes, part.size_bytes - found.size_bytes


def in_order(parts: list[Part], disk_bytes: int) -> None:
    """Raises `DecodeError` for partitions that overlap or lie outside."""
    at = 0
    for part in parts:
        if part.offset_bytes < at or part.size_bytes <= 0 or part.end_bytes > disk_bytes:
            raise DecodeError(DOING, f"partition {part.number} overlaps another, or lies outside the disk")
        at = part.end_bytes


def looked_into(read: Read, part: Part) -> Part:
    """With what it holds."""
    inside = within(read, part)
    kind = kind_of(inside, part.size_bytes)
    if kind is None and (marks := marked(inside, part.size_bytes)):
        return replace(part, illegible=f"it has the marks of {' and '.join(marks)}")
    try:
        volumes = members(inside, part.size_bytes) if kind == "LVM2_member" else None
        found = open_filesystem(inside, part.size_bytes, kind)
        subvolumes = found.subvolumes() if isinstance(found, Btrfs) and not found.elsewhere else None
    except DecodeError as error:
        return replace(part, kind=kind, illegible=told(error))
    return replace(part, kind=kind, filesystem=found, volumes=volumes, subvolumes=subvolumes)


def within(read: Read, part: Part) -> Read:
    """Reading a partition."""
    return bounded(lambda offset, length: read(part.offset_bytes + offset, length), part.size_bytes)


def is_config_drive(read: Read, part: Part) -> bool:
    """By the label of its vfat or iso9660; of what could be either, too."""
    places = {"vfat": (0x47, 0x2B), "iso9660": (0x8028,)}
    place = places.get(part.kind or "", () if part.kind else (0x47, 0x2B, 0x8028))
    inside = within(read, part)
    label = config_drive.LABEL.encode()
    return any(inside(at, len(label)).lower() == label for at in place if at + len(label) <= part.size_bytes)


def has_extended(head: bytes) -> bool:
    """Whether one of the four primary records is an extended partition."""
    return any(record.kind in EXTENDED for record in mbr.parse(head) or ())
