# SPDX-License-Identifier: Apache-2.0
"""FAT16 and FAT32, as on EFI system partitions: clusters in use, from the file allocation table. Pure.

Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03. FAT12 stays closed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, ascending

BOOT_BYTES = 512
FEWEST_FAT16 = 4085
MOST_CLUSTERS = 0x0FFFFFF5
SLICE_BYTES = 1024 * 1024
NO_NAME = "NO NAME"
DOING = "reading the FAT filesystem"


class Fat:
    """One filesystem."""

    kind = "vfat"
    elsewhere = None

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none, or is larger than its device."""
        self._read = read
        if size_bytes < BOOT_BYTES:
            raise DecodeError(DOING, f"{size_bytes} bytes hold none")
        raw = read(0, BOOT_BYTES)
        self.sector_bytes, self.cluster_sectors, reserved, copies, root_entries, small_total = struct.unpack_from(
            "<HBHBHH", raw, 11
        )
        (small_table, large_total, large_table) = (
            *struct.unpack_from("<H", raw, 22),
            *struct.unpack_from("<II", raw, 32),
        )
        table_sectors, sectors = small_table or large_table, small_total or large_total
        powers = [size and size & (size - 1) == 0 for size in (self.sector_bytes, self.cluster_sectors)]
        if not all(powers) or self.sector_bytes < BOOT_BYTES or not copies or sectors * self.sector_bytes > size_bytes:
            raise DecodeError(DOING, f"{sectors} sectors of {self.sector_bytes} bytes, on {size_bytes} bytes")
        root_sectors = -(-root_entries * 32 // self.sector_bytes)
        self._table_at = reserved * self.sector_bytes
        self._data_at = (reserved + copies * table_sectors + root_sectors) * self.sector_bytes
        self.size_bytes = sectors * self.sector_bytes
        self._clusters = (sectors - self._data_at // self.sector_bytes) // self.cluster_sectors
        self._entry_bytes = 2 if small_table else 4  # as Linux tells them apart (fs/fat/inode.c, fat_fill_super)
        fewest = FEWEST_FAT16 if small_table else 1
        if not fewest <= self._clusters <= MOST_CLUSTERS or not reserved:
            raise DecodeError(DOING, f"{self._clusters} clusters")
        if (self._clusters + 2) * self._entry_bytes > table_sectors * self.sector_bytes:
            raise DecodeError(DOING, f"{self._clusters} clusters do not fit into its table")
        names = 0x27 if self._entry_bytes == 2 else 0x43
        serial, label = struct.unpack_from("<I11s", raw, names)
        self.uuid = f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"
        self.label = label.decode("cp437").strip().replace(NO_NAME, "") or None

    @property
    def unclean(self) -> str | None:
        """Its mark is left behind by every power cut and cured by nobody: the table itself is written at once."""
        return None

    def used(self) -> Iterator[Extent]:
        """Everything before the first cluster, then clusters that are not free."""
        return ascending(self._used(), self.size_bytes, DOING)

    def _used(self) -> Iterator[Extent]:
        yield 0, self._data_at
        cluster_bytes = self.cluster_sectors * self.sector_bytes
        for first, length in self._runs():
            yield self._data_at + first * cluster_bytes, length * cluster_bytes

    def _runs(self) -> Iterator[Extent]:
        """(first cluster, count) of runs that are in use; cluster 2 of the table is the first of the disk."""
        start = 0
        for at in range(0, self._clusters, SLICE_BYTES):
            count = min(SLICE_BYTES, self._clusters - at)
            place = self._table_at + (at + 2) * self._entry_bytes
            raw = self._read(place, count * self._entry_bytes)
            for number, value in enumerate(memoryview(raw).cast("H" if self._entry_bytes == 2 else "I"), at):
                if value & 0x0FFFFFFF:
                    continue
                if number > start:
                    yield start, number - start
                start = number + 1
        if self._clusters > start:
            yield start, self._clusters - start
