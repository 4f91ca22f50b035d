# SPDX-License-Identifier: Apache-2.0
"""XFS, versions 4 and 5: blocks in use, from each allocation group's tree of free space by block number. Pure.

Sources: "XFS Algorithms & Data Structures", fs/xfs/libxfs/xfs_format.h and xfs_log_format.h. All big endian. A tree
that does not add up to the group's count of free blocks is not believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, complement, text
from agent.model.filesystem.xfs_log import is_unmounted

MAGIC, AGF_MAGIC, AGFL_MAGIC = b"XFSB", b"XAGF", b"XAFL"
TREE_MAGIC = {4: b"ABTB", 5: b"AB3B"}
TREE_HEADER_BYTES = {4: 16, 5: 56}
AGFL_HEADER_BYTES = {4: 0, 5: 36}
SUPERBLOCK_BYTES = 512
# ftype, sparse inodes, meta_uuid, bigtime, needs repair, nrext64, exchange-range, parent pointers
INCOMPAT_KNOWN, INCOMPAT_NEEDS_REPAIR = 0xFF, 0x10
# inode btree of free inodes, reverse mapping, reference counts, counts of inode btree blocks
RO_KNOWN = 0xF
NONE = 0xFFFFFFFF
LEVELS = 9
DOING = "reading the XFS filesystem"


class Xfs:
    """One filesystem. Fields of the superblock have the kernel's names, without their `sb_`."""

    kind = "xfs"

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none, is larger than its device, or has features that are not known."""
        self._read = read
        raw = read(0, min(SUPERBLOCK_BYTES, size_bytes))
        if len(raw) < SUPERBLOCK_BYTES or raw[:4] != MAGIC:
            raise DecodeError(DOING, "no superblock")
        self.block_bytes, self.blocks, self.realtime_blocks = struct.unpack_from(">IQQ", raw, 4)
        self.uuid = str(UUID(bytes=raw[32:48]))
        (self.log_start,) = struct.unpack_from(">Q", raw, 48)
        self.ag_blocks, self.ag_count, _, self.log_blocks, version, self.sector_bytes = struct.unpack_from(
            ">IIIIHH", raw, 84
        )
        self.label = text(raw[108:120])
        self.ag_block_log, _, self.in_progress = raw[124:127]
        self.version = version & 0xF
        _, self.ro_compat, self.incompat = struct.unpack_from(">III", raw, 208) if self.version == 5 else (0, 0, 0)
        self._check(size_bytes)

    def _check(self, size_bytes: int) -> None:
        unknown = self.incompat & ~INCOMPAT_KNOWN, self.ro_compat & ~RO_KNOWN
        if self.version not in TREE_MAGIC or any(unknown):
            told = f"incompat {unknown[0]:#x}, ro_compat {unknown[1]:#x}"
            raise DecodeError(DOING, f"version {self.version}, features that are not known: {told}")
        powers = [size & (size - 1) == 0 for size in (self.block_bytes, self.sector_bytes)]
        if not (all(powers) and 512 <= self.sector_bytes <= self.block_bytes <= 65536):
            raise DecodeError(DOING, f"blocks of {self.block_bytes} and sectors of {self.sector_bytes} bytes")
        groups = -(-self.blocks // self.ag_blocks) if self.ag_blocks else 0
        fits = 0 < self.blocks * self.block_bytes <= size_bytes and self.ag_block_log <= 31
        if not fits or groups != self.ag_count or self.ag_blocks > 1 << self.ag_block_log or self.ag_blocks < 4:
            told = f"{self.blocks} blocks of {self.block_bytes} bytes in {self.ag_count} groups of {self.ag_blocks}"
            raise DecodeError(DOING, f"{told}, on {size_bytes} bytes")

    @property
    def unclean(self) -> str | None:
        """XFS has no mark for it: a clean log ends in the record of an unmount."""
        if self.in_progress:
            return "it was being made"
        if self.incompat & INCOMPAT_NEEDS_REPAIR:
            return "it needs xfs_repair"
        if not self.log_start:
            return "its log is on another device"
        group, block = self.log_start >> self.ag_block_log, self.log_start & (1 << self.ag_block_log) - 1
        offset, length = (group * self.ag_blocks + block) * self.block_bytes, self.log_blocks * self.block_bytes
        if not length or offset + length > self.blocks * self.block_bytes:
            raise DecodeError(DOING, f"a log of {length} bytes at {offset}")
        if not is_unmounted(lambda at, count: self._read(offset + at, count), length):
            return "its log does not end with an unmount: it may hold changes that are not in place yet"
        return None

    @property
    def elsewhere(self) -> str | None:
        """The realtime section and an external log."""
        if self.realtime_blocks:
            return "its realtime section"
        return None if self.log_start else "its log"

    @property
    def size_bytes(self) -> int:
        """All blocks."""
        return int(self.blocks * self.block_bytes)

    def used(self) -> Iterator[Extent]:
        """Blocks in use."""
        free = ((first * self.block_bytes, count * self.block_bytes) for first, count in self._free_blocks())
        return complement(free, self.size_bytes, DOING)

    def _free_blocks(self) -> Iterator[Extent]:
        for number in range(self.ag_count):
            first = number * self.ag_blocks
            length = min(self.ag_blocks, self.blocks - first)
            yield from ((first + start, count) for start, count in self._free_in(number, length))

    def _free_in(self, number: int, length: int) -> Iterator[Extent]:
        """(block of the group, count), ascending; the blocks that the group holds ready for its trees are free, too."""
        offset = number * self.ag_blocks * self.block_bytes + self.sector_bytes
        raw = self._read(offset, self.sector_bytes)
        magic, _, own, told_length, root = struct.unpack_from(">4sIIII", raw)
        (levels,) = struct.unpack_from(">I", raw, 28)
        first, last, ready, free = struct.unpack_from(">IIII", raw, 40)
        if magic != AGF_MAGIC or own != number or told_length != length or not 1 <= levels <= LEVELS:
            raise DecodeError(DOING, f"group {number} has no header that fits")
        ready_blocks = self._ready(number, first, last, ready)
        counted = 0
        for start, count in merged(self._leaves(number, root, levels, length), ready_blocks):
            if start + count > length:
                raise DecodeError(DOING, f"group {number} has free blocks past its end")
            counted += count
            yield start, count
        if counted != free + len(ready_blocks):
            told = f"{counted - len(ready_blocks)} free blocks by its tree, {free} by its header"
            raise DecodeError(DOING, f"group {number} has {told}")

    def _ready(self, number: int, first: int, last: int, count: int) -> list[int]:
        """The free list (AGFL): a ring, the fourth sector of a group."""
        header = AGFL_HEADER_BYTES[self.version]
        places = (self.sector_bytes - header) // 4
        raw = self._read(number * self.ag_blocks * self.block_bytes + 3 * self.sector_bytes, self.sector_bytes)
        if count == 0:
            return []
        if (header and raw[:4] != AGFL_MAGIC) or max(first, last) >= places or (last - first) % places + 1 != count:
            raise DecodeError(DOING, f"group {number} has a free list from {first} to {last} of {count} blocks")
        ring = struct.unpack_from(f">{places}I", raw, header)
        return sorted(ring[(first + place) % places] for place in range(count))

    def _leaves(self, number: int, root: int, levels: int, length: int) -> Iterator[Extent]:
        """The records of the leaves, from the leftmost on along the chain."""
        header = TREE_HEADER_BYTES[self.version]
        block = root
        for level in range(levels - 1, 0, -1):
            raw, _, _ = self._node(number, block, level, length)
            first_pointer = header + (self.block_bytes - header) // 12 * 8
            (block,) = struct.unpack_from(">I", raw, first_pointer)
        end = 0
        for _ in range(length):  # each leaf but an only one holds a record, and these ascend: the chain ends
            raw, records, block = self._node(number, block, 0, length)
            if not records and block != NONE:
                raise DecodeError(DOING, f"group {number} has an empty leaf in its tree")
            for start, count in struct.iter_unpack(">II", raw[header : header + 8 * records]):
                if start < end or not count:
                    raise DecodeError(DOING, f"group {number} has free blocks that overlap")
                end = start + count
                yield start, count
            if block == NONE:
                return

    def _node(self, number: int, block: int, level: int, length: int) -> tuple[bytes, int, int]:
        """(bytes, count of records, the neighbour at the right) of a block of the tree."""
        if not 0 < block < length:
            raise DecodeError(DOING, f"group {number} has its tree at block {block} of {length}")
        raw = self._read((number * self.ag_blocks + block) * self.block_bytes, self.block_bytes)
        magic, own_level, records, _, right = struct.unpack_from(">4sHHII", raw)
        most = (self.block_bytes - TREE_HEADER_BYTES[self.version]) // (8 if level == 0 else 12)
        if magic != TREE_MAGIC[self.version] or own_level != level or records > most or (level and not records):
            raise DecodeError(DOING, f"block {block} of group {number} is not the node that it should be")
        return raw, records, right


def merged(extents: Iterator[Extent], blocks: list[int]) -> Iterator[Extent]:
    """Extents and single blocks, in one ascending order."""
    rest = iter([*blocks, NONE])
    single = next(rest)
    for start, count in extents:
        while single < start:
            yield single, 1
            single = next(rest)
        yield start, count
    while single < NONE:
        yield single, 1
        single = next(rest)
