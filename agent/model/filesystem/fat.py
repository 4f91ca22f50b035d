# SPDX-License-Identifier: Apache-2.0
"""FAT16 and FAT32, as on EFI system partitions: clusters in use, from the file allocation table. Pure.

Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03. FAT12 stays closed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, ascending

BOOT_BYTES = 512
FEWEST_FAT16 = 4085
MOST_CLUSTERS = 0x0FFFFFF5
SLICE_BYTES = 1024 * 1024
ENTRY_BYTES = 32
STRETCH = 256
CLUSTER_MASK = 0x0FFFFFFF
NO_NAME = "NO NAME"
DOING = "reading the FAT filesystem"


@dataclass(frozen=True)
class Layout:
    """What lies where, as the boot sector says. The root of a FAT32 is a chain of clusters, and no area of its own."""

    size_bytes: int
    table_at: int
    root_at: int
    root_bytes: int
    root_cluster: int
    data_at: int
    cluster_bytes: int
    clusters: int
    bits: int
    uuid: str
    label: str | None


def layout(read: Read, size_bytes: int) -> Layout:
    """Raises `DecodeError` for what is no FAT filesystem, or is larger than its device."""
    if size_bytes < BOOT_BYTES:
        raise DecodeError(DOING, f"{size_bytes} bytes hold none")
    raw = read(0, BOOT_BYTES)
    sector, per_cluster, reserved, copies, root_entries, small_total = struct.unpack_from("<HBHBHH", raw, 11)
    (small_table,) = struct.unpack_from("<H", raw, 22)
    large_total, large_table = struct.unpack_from("<II", raw, 32)
    table_sectors, sectors = small_table or large_table, small_total or large_total
    powers = [size and size & (size - 1) == 0 for size in (sector, per_cluster)]
    if not all(powers) or sector < BOOT_BYTES or not copies or sectors * sector > size_bytes:
        raise DecodeError(DOING, f"{sectors} sectors of {sector} bytes, on {size_bytes} bytes")
    root_at = (reserved + copies * table_sectors) * sector
    data_at = root_at + -(-root_entries * ENTRY_BYTES // sector) * sector
    clusters = (sectors - data_at // sector) // per_cluster
    if not 1 <= clusters <= MOST_CLUSTERS or not reserved:
        raise DecodeError(DOING, f"{clusters} clusters")
    narrow = 12 if clusters < FEWEST_FAT16 else 16
    bits = narrow if small_table else 32  # as Linux tells them apart (fs/fat/inode.c, fat_fill_super)
    if (clusters + 2) * bits > table_sectors * sector * 8:
        raise DecodeError(DOING, f"{clusters} clusters do not fit into its table")
    serial, label = struct.unpack_from("<I11s", raw, 0x43 if bits == 32 else 0x27)
    return Layout(
        size_bytes=sectors * sector,
        table_at=reserved * sector,
        root_at=root_at,
        root_bytes=root_entries * ENTRY_BYTES,
        root_cluster=struct.unpack_from("<I", raw, 44)[0] if bits == 32 else 0,
        data_at=data_at,
        cluster_bytes=per_cluster * sector,
        clusters=clusters,
        bits=bits,
        uuid=f"{serial >> 16:04X}-{serial & 0xFFFF:04X}",
        label=label.decode("cp437").strip().replace(NO_NAME, "") or None,
    )


class Fat:
    """One filesystem."""

    kind = "vfat"
    elsewhere = None

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none, or is larger than its device."""
        self._read = read
        self._layout = layout(read, size_bytes)
        if self._layout.bits == 12:
            raise DecodeError(DOING, f"{self._layout.clusters} clusters")
        self.size_bytes, self.uuid, self.label = self._layout.size_bytes, self._layout.uuid, self._layout.label

    @property
    def unclean(self) -> str | None:
        """Its mark is left behind by every power cut and cured by nobody: the table itself is written at once."""
        return None

    def used(self) -> Iterator[Extent]:
        """Everything before the first cluster, then clusters that are not free."""
        return ascending(self._used(), self.size_bytes, DOING)

    def _used(self) -> Iterator[Extent]:
        at = self._layout
        yield 0, at.data_at
        for first, length in self._runs():
            yield at.data_at + first * at.cluster_bytes, length * at.cluster_bytes

    def _runs(self) -> Iterator[Extent]:
        """(first cluster, count) of runs that are in use; cluster 2 of the table is the first of the disk."""
        start, clusters, entry_bytes = 0, self._layout.clusters, self._layout.bits // 8
        for at in range(0, clusters, SLICE_BYTES):
            count = min(SLICE_BYTES, clusters - at)
            raw = self._read(self._layout.table_at + (at + 2) * entry_bytes, count * entry_bytes)
            for first, length in free(raw, entry_bytes):
                if at + first > start:
                    yield start, at + first - start
                start = at + first + length
        if clusters > start:
            yield start, clusters - start


def free(table: bytes, entry_bytes: int) -> Iterator[Extent]:
    """(first entry, count) of what is free, in order. Mostly a stretch of it is free, or in use, as a whole, which
    takes a hundredth of the time that it takes to look at each entry.
    """
    stretch_bytes = STRETCH * entry_bytes
    zeroes = bytes(stretch_bytes)
    for at in range(0, len(table), stretch_bytes):
        part = table[at : at + stretch_bytes]
        first = at // entry_bytes
        if part == zeroes[: len(part)]:
            yield first, len(part) // entry_bytes
            continue
        entries = memoryview(part).cast("H" if entry_bytes == 2 else "I")
        if min(entries) and max(entries) <= CLUSTER_MASK:
            continue
        for number, value in enumerate(entries, first):
            if not value & CLUSTER_MASK:
                yield number, 1
