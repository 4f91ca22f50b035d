# SPDX-License-Identifier: Apache-2.0
"""The tables of a QCOW2 image (QEMU, docs/interop/qcow2.rst, "Cluster mapping"): where in the file the disk lies. Pure.

Seen from the file, so that it can be read in its own order. Memory is a few bytes for each cluster of the file, not of
the disk. Two clusters of the disk in one place of the file are an error: only snapshots share, and they are not read.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from heapq import merge

from agent.errors import DecodeError
from agent.model.qcow2 import DOING, SECTOR_BYTES, Header

OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
L1_RESERVED = 0x7F00_0000_0000_01FF
L2_RESERVED = 0x3F00_0000_0000_01FE
ZEROES, PACKED = 1, 1 << 62
RUN_ENTRIES = 1 << 16
MOST_PACKED = 1 << 22
"""Packed clusters: 12 bytes of memory for each. With clusters of 64 KiB it is a disk of 256 GiB."""


def parse_table(data: bytes) -> array[int]:
    """Big-endian 64-bit entries."""
    if len(data) % 8:
        raise DecodeError(DOING, "a table is cut")
    table = array("Q", data)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def parse_l1(header: Header, data: bytes, file_bytes: int) -> array[int]:
    """Where each L2 table is; 0 where none is. Raises `DecodeError`."""
    table = parse_table(data[: header.tables * 8])
    if len(table) < header.tables:
        raise DecodeError(DOING, "its L1 table is cut")
    for number, entry in enumerate(table):
        at = entry & OFFSET_MASK
        if entry & L1_RESERVED or at % header.cluster_bytes or (at and at + header.cluster_bytes > file_bytes):
            raise DecodeError(DOING, f"L1 entry {number}, {entry:#x}, leads nowhere")
        table[number] = at
    used = [at for at in table if at]
    if len(set(used)) < len(used):
        raise DecodeError(DOING, "two L1 entries lead to one L2 table")
    return table


class Map:
    """Where each cluster of the disk is in the file, seen from the file. Tables are added in order, then `finish`."""

    def __init__(self, header: Header, file_bytes: int, head_bytes: int = 0) -> None:
        """`head_bytes` of the disk's beginning will be asked for by `head`."""
        self.header = header
        self.file_bytes = file_bytes
        self._first: dict[int, int] = {}
        self._first_clusters = -(-head_bytes // header.cluster_bytes)
        self._guest_of = array("I", (0,)) * -(-file_bytes // header.cluster_bytes)
        self._data = array("I")
        self._packed: list[tuple[array[int], array[int]]] = []
        shift = 62 - (header.cluster_bytes.bit_length() - 1 - 8)
        self._place_mask = (1 << shift) - 1
        self._sectors_shift = shift

    @property
    def has_packed(self) -> bool:
        """Whether any cluster is compressed."""
        return bool(self._packed)

    def add(self, number: int, data: bytes) -> None:
        """The L2 table of that number. Raises `DecodeError`."""
        first = number * self.header.l2_entries
        for index, entry in enumerate(parse_table(data)):
            guest = first + index
            if not entry or guest >= self.header.clusters:
                continue
            if guest < self._first_clusters:
                self._first[guest] = entry
            if entry & PACKED:
                self._add_packed(guest, entry)
            elif entry & ~(1 << 63) & L2_RESERVED or (entry & ZEROES and self.header.version < 3):
                raise DecodeError(DOING, f"the L2 entry {entry:#x} of cluster {guest} is not a possible one")
            elif entry & OFFSET_MASK and not entry & ZEROES:
                self._add_plain(guest, entry & OFFSET_MASK)

    def _add_plain(self, guest: int, at: int) -> None:
        if at % self.header.cluster_bytes or at >= self.file_bytes:
            raise DecodeError(DOING, f"cluster {guest} at byte {at} is not in the file's {self.file_bytes} bytes")
        host = at // self.header.cluster_bytes
        if self._guest_of[host]:
            raise DecodeError(DOING, f"clusters {self._guest_of[host] - 1} and {guest} are in one place, byte {at}")
        self._guest_of[host] = guest + 1
        self._mark(guest)

    def _add_packed(self, guest: int, entry: int) -> None:
        if entry & self._place_mask >= self.file_bytes:
            raise DecodeError(DOING, f"packed cluster {guest} is not in the file's {self.file_bytes} bytes")
        if len(self._packed) * RUN_ENTRIES > MOST_PACKED:
            raise DecodeError(DOING, f"it has more than {MOST_PACKED} packed clusters")
        if not self._packed or len(self._packed[-1][0]) == RUN_ENTRIES:
            self._packed.append((array("Q"), array("I")))
        entries, guests = self._packed[-1]
        entries.append(entry & (PACKED - 1))
        guests.append(guest)
        self._mark(guest)

    def _mark(self, guest: int) -> None:
        """Runs of clusters that hold data: start, end, start, end."""
        if self._data and self._data[-1] == guest:
            self._data[-1] += 1
        else:
            self._data.extend((guest, guest + 1))

    def finish(self, tables: array[int]) -> None:
        """After the last table; `tables` is where they are. Raises `DecodeError` where data lies in them, or in other
        data.
        """
        size = self.header.cluster_bytes
        l1_end = self.header.l1_offset_bytes + self.header.tables * 8
        taken = [0, *range(self.header.l1_offset_bytes, l1_end, size), *(at for at in tables if at)]
        if len(set(taken)) < len(taken):
            raise DecodeError(DOING, "its tables overlap")
        for at in taken:
            if self._guest_of[at // size]:
                raise DecodeError(DOING, f"cluster {self._guest_of[at // size] - 1} is where a table is, byte {at}")
        self._packed = [self._in_file_order(*run) for run in self._packed]
        self._packed_must_lie_apart()

    def _packed_must_lie_apart(self) -> None:
        """The last sector of one may be the first of the next, and no more ("Compressed Clusters Descriptor"): else a
        file of some MiB had millions of them in one place, which are all wanted when that place passes by.
        """
        size, before, end_before = self.header.cluster_bytes, -1, 0
        for at, end, guest in self.packed():
            is_within = at == before or at <= end_before - SECTOR_BYTES
            if is_within or self._guest_of[at // size] or self._guest_of[(end - 1) // size]:
                raise DecodeError(DOING, f"packed cluster {guest} is where another is, byte {at}")
            before, end_before = at, end

    def _in_file_order(self, entries: array[int], guests: array[int]) -> tuple[array[int], array[int]]:
        order = sorted(range(len(entries)), key=lambda index: self._extent(entries[index]))
        return array("Q", map(entries.__getitem__, order)), array("I", map(guests.__getitem__, order))

    def holes(self) -> Iterator[tuple[int, int]]:
        """(start, end) on the disk of what is zero: not allocated, or said to be, or behind the file's end."""
        size, done = self.header.cluster_bytes, 0
        for index in range(0, len(self._data), 2):
            if self._data[index] > done:
                yield done * size, self._data[index] * size
            done = self._data[index + 1]
        if done < self.header.clusters:
            yield done * size, self.header.size_bytes
        cut = self.file_bytes % size
        if cut and self._guest_of[-1]:
            start = (self._guest_of[-1] - 1) * size
            end = min(start + size, self.header.size_bytes)
            if start + cut < end:
                yield start + cut, end

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(place in the file, place on the disk, length) of plain data within a range of the file, in file order."""
        size = self.header.cluster_bytes
        for first, count in self._like_clusters(start // size, -(-end // size)):
            guest = self._guest_of[first]
            if guest:
                at = max(first * size, start)
                disk = (guest - 1) * size + at - first * size
                length = min((first + count) * size - at, end - at, self.header.size_bytes - disk)
                if length > 0:
                    yield at, disk, length

    def _like_clusters(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(number, count) of clusters in the file whose guests follow each other, or are none."""
        while first < last:
            guest, count = self._guest_of[first], 1
            while first + count < last and self._guest_of[first + count] == (guest + count if guest else 0):
                count += 1
            yield first, count
            first += count

    def packed(self) -> Iterator[tuple[int, int, int]]:
        """(place in the file, end there, cluster of the disk) of each packed cluster, in file order."""
        runs = [zip(map(self._extent, entries), guests, strict=True) for entries, guests in self._packed]
        for (at, end), guest in merge(*runs):
            yield at, end, guest

    def head(self) -> Iterator[tuple[int, int, int, bool]]:
        """(place on the disk, place in the file, end there, whether it is packed) of the disk's first bytes."""
        size = self.header.cluster_bytes
        for guest, entry in self._first.items():
            if entry & PACKED:
                yield guest * size, *self._extent(entry), True
            elif entry & OFFSET_MASK and not entry & ZEROES:
                at = entry & OFFSET_MASK
                yield guest * size, at, min(at + size, self.file_bytes), False

    def _extent(self, entry: int) -> tuple[int, int]:
        """Where a packed cluster lies; its last sector may be another's first."""
        at, sectors = entry & self._place_mask, (entry & (PACKED - 1)) >> self._sectors_shift
        return at, min((at // SECTOR_BYTES + sectors + 1) * SECTOR_BYTES, self.file_bytes)
