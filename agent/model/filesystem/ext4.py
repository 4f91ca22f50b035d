# SPDX-License-Identifier: Apache-2.0
"""ext2, ext3, ext4: blocks in use, from the block groups' bitmaps (Documentation/filesystems/ext4/, e2fsprogs). Pure.

A group whose bitmap was never initialised holds nothing but its own metadata. Where a group's count of free blocks
and its bitmap differ, the map is not believed.
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, ascending, less, text
from agent.model.filesystem.ext4_journal import idle_blocks

SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_BYTES = 1024
MAGIC = 0xEF53
# fs/ext4/ext4.h
STATE_VALID, STATE_ERROR = 0x1, 0x2
COMPAT_HAS_JOURNAL, COMPAT_SPARSE_SUPER2 = 0x4, 0x200
INCOMPAT_RECOVER, INCOMPAT_JOURNAL_DEV, INCOMPAT_META_BG, INCOMPAT_64BIT = 0x4, 0x8, 0x10, 0x80
# filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, dirdata, csum_seed, largedir, inline_data,
# encrypt, casefold: none of these changes what a block bitmap says
INCOMPAT_KNOWN = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x30000
RO_SPARSE_SUPER, RO_GDT_CSUM, RO_BIGALLOC, RO_METADATA_CSUM = 0x1, 0x10, 0x200, 0x400
# and large_file, btree_dir, huge_file, dir_nlink, extra_isize, quota, replica, readonly, project, verity, orphans
RO_KNOWN = (
    0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x800 | 0x1000 | 0x2000 | 0x8000 | 0x10000
)
BLOCK_UNINIT = 0x2
MOST_GROUPS = 1 << 19
"""64 TiB in groups of 128 MiB. Their places are held in memory, so there must be an end."""
MOST_BLOCKS = 1 << 40
RUN = re.compile(rb"\x00+|\xff+|[^\x00\xff]", re.DOTALL)
DOING = "reading the ext4 filesystem"


@dataclass(frozen=True)
class Group:
    """A block group's descriptor."""

    number: int
    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free_clusters: int
    flags: int


class Ext4:
    """One filesystem. Fields of the superblock have the kernel's names, without their `s_`."""

    kind = "ext4"

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none, is larger than its device, or has features that are not known."""
        self._read = read
        if size_bytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES:
            raise DecodeError(DOING, f"{size_bytes} bytes hold none")
        raw = read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES)
        (magic, self.state) = struct.unpack_from("<HH", raw, 0x38)
        if magic != MAGIC:
            raise DecodeError(DOING, "no superblock")
        (blocks_low,) = struct.unpack_from("<I", raw, 0x4)
        self.first_data_block, log_block, log_cluster = struct.unpack_from("<III", raw, 0x14)
        self.blocks_per_group, self.clusters_per_group, self.inodes_per_group = struct.unpack_from("<III", raw, 0x20)
        (self.revision,) = struct.unpack_from("<I", raw, 0x4C)
        (inode_bytes,) = struct.unpack_from("<H", raw, 0x58)
        self.compat, self.incompat, self.ro_compat = (
            struct.unpack_from("<III", raw, 0x5C) if self.revision else (0,) * 3
        )
        self.uuid = str(UUID(bytes=raw[0x68:0x78]))
        self.label = text(raw[0x78:0x88])
        (self.reserved_gdt_blocks,) = struct.unpack_from("<H", raw, 0xCE)
        (self.journal_inode,) = struct.unpack_from("<I", raw, 0xE0)
        (desc_size,) = struct.unpack_from("<H", raw, 0xFE)
        (self.first_meta_bg,) = struct.unpack_from("<I", raw, 0x104)
        (blocks_high,) = struct.unpack_from("<I", raw, 0x150)
        self.backup_bgs = struct.unpack_from("<II", raw, 0x24C)
        self.inode_bytes = inode_bytes if self.revision else 128
        self._check_features()
        self._set_geometry(log_block, log_cluster, desc_size)
        is_64bit = bool(self.incompat & INCOMPAT_64BIT)
        self.blocks = blocks_low | (blocks_high << 32 if is_64bit else 0)
        self._check_sizes(size_bytes)

    def _check_features(self) -> None:
        unknown = self.incompat & ~INCOMPAT_KNOWN, self.ro_compat & ~RO_KNOWN
        if any(unknown) or self.incompat & INCOMPAT_JOURNAL_DEV:
            raise DecodeError(
                DOING, f"features that are not known: incompat {unknown[0]:#x}, ro_compat {unknown[1]:#x}"
            )

    def _set_geometry(self, log_block: int, log_cluster: int, desc_size: int) -> None:
        if log_block > 6 or log_cluster > 20:
            raise DecodeError(DOING, f"blocks of 2^{log_block + 10}, clusters of 2^{log_cluster + 10} bytes")
        self.block_bytes = 1024 << log_block
        self.cluster_blocks = 1
        if self.ro_compat & RO_BIGALLOC:
            self.cluster_blocks = 1 << max(log_cluster - log_block, 0)
        else:
            self.clusters_per_group = self.blocks_per_group
        self.desc_bytes = desc_size if self.incompat & INCOMPAT_64BIT else 32
        if not 32 <= self.desc_bytes <= self.block_bytes or self.desc_bytes % 8 or self.block_bytes % self.desc_bytes:
            raise DecodeError(DOING, f"group descriptors of {self.desc_bytes} bytes")
        self.descs_per_block = self.block_bytes // self.desc_bytes

    def _check_sizes(self, size_bytes: int) -> None:
        fits = self.first_data_block < self.blocks and self.blocks * self.block_bytes <= size_bytes
        whole = self.blocks_per_group == self.clusters_per_group * self.cluster_blocks
        if not fits or not whole or not 8 <= self.clusters_per_group <= 8 * self.block_bytes:
            told = f"{self.blocks} blocks of {self.block_bytes} bytes, {self.blocks_per_group} a group"
            raise DecodeError(DOING, f"{told}, on {size_bytes} bytes")
        self.groups = -(-(self.blocks - self.first_data_block) // self.blocks_per_group)
        if self.groups > MOST_GROUPS or self.blocks > MOST_BLOCKS or self.first_data_block > 1:
            raise DecodeError(DOING, f"{self.groups} groups from block {self.first_data_block}")
        self.gdt_blocks = -(-self.groups // self.descs_per_block)
        self.table_blocks = -(-self.inodes_per_group * self.inode_bytes // self.block_bytes)

    @property
    def unclean(self) -> str | None:
        """The journal's and the superblock's word."""
        if self.incompat & INCOMPAT_RECOVER:
            return "its journal holds changes that are not in place yet"
        if self.state & STATE_ERROR:
            return "the kernel found errors in it"
        return None if self.state & STATE_VALID else "it was not unmounted"

    @property
    def elsewhere(self) -> str | None:
        """An external journal."""
        return "its journal" if self.compat & COMPAT_HAS_JOURNAL and not self.journal_inode else None

    @property
    def size_bytes(self) -> int:
        """All blocks."""
        return int(self.blocks * self.block_bytes)

    def used(self) -> Iterator[Extent]:
        """Blocks in use, but for those of a journal with nothing in it."""
        blocks = ((first * self.block_bytes, count * self.block_bytes) for first, count in self._meant_blocks())
        return ascending(blocks, self.size_bytes, DOING)

    def _meant_blocks(self) -> Iterator[Extent]:
        return less(self._used_blocks(), self.idle_blocks())

    def idle_blocks(self) -> list[Extent]:
        """(first block, count) of the journal's, where it can be told that nobody reads them."""
        has_journal = self.compat & COMPAT_HAS_JOURNAL and 1 <= self.journal_inode <= self.inodes_per_group
        if self.unclean is not None or not has_journal:
            return []
        table = next(self._groups()).inode_table * self.block_bytes
        return idle_blocks(self._read, self.block_bytes, table + (self.journal_inode - 1) * self.inode_bytes)

    def _used_blocks(self) -> Iterator[Extent]:
        if self.first_data_block:
            yield 0, self.first_data_block  # the boot block of a filesystem with blocks of 1 KiB
        for group in self._groups():
            first = self._first_block(group.number)
            count = min(self.blocks_per_group, self.blocks - first)
            if group.flags & BLOCK_UNINIT and self.ro_compat & (RO_GDT_CSUM | RO_METADATA_CSUM):
                yield from self._never_used(group, first, count)
            else:
                yield from self._by_bitmap(group, first, count)

    def _first_block(self, group: int) -> int:
        return int(self.first_data_block + group * self.blocks_per_group)

    def _groups(self) -> Iterator[Group]:
        for block in range(self.gdt_blocks):
            raw = self._read(self._gdt_block(block) * self.block_bytes, self.block_bytes)
            first = block * self.descs_per_block
            for number in range(first, min(first + self.descs_per_block, self.groups)):
                yield self._group(number, raw[(number - first) * self.desc_bytes :])

    def _gdt_block(self, number: int) -> int:
        """Where a block of descriptors lies (fs/ext4/super.c, descriptor_loc). With bigalloc and blocks of 1 KiB, the
        first superblock is in block 1 though block 0 belongs to the group.
        """
        if not self.incompat & INCOMPAT_META_BG or number < self.first_meta_bg:
            return self._inside(SUPERBLOCK_OFFSET // self.block_bytes + 1 + number)
        group = number * self.descs_per_block
        is_shifted = not number and self.block_bytes == SUPERBLOCK_OFFSET and not self.first_data_block
        return self._inside(self._first_block(group) + self._has_super(group) + is_shifted)

    def _inside(self, block: int) -> int:
        if not self.first_data_block <= block < self.blocks:
            raise DecodeError(DOING, f"metadata at block {block} of {self.blocks}")
        return block

    def _group(self, number: int, raw: bytes) -> Group:
        block_bitmap, inode_bitmap, inode_table, free, _, _, flags = struct.unpack_from("<IIIHHHH", raw)
        if self.desc_bytes >= 64:
            high = struct.unpack_from("<IIIH", raw, 0x20)
            block_bitmap, inode_bitmap, inode_table = (
                low | top << 32 for low, top in zip((block_bitmap, inode_bitmap, inode_table), high[:3], strict=True)
            )
            free |= high[3] << 16
        return Group(number, block_bitmap, inode_bitmap, inode_table, free, flags)

    def _has_super(self, group: int) -> bool:
        if self.compat & COMPAT_SPARSE_SUPER2:
            return group == 0 or group in self.backup_bgs
        if group <= 1 or not self.ro_compat & RO_SPARSE_SUPER:
            return True
        return any(is_power(group, base) for base in (3, 5, 7))

    def _never_used(self, group: Group, first: int, count: int) -> Iterator[Extent]:
        """What ext4_init_block_bitmap (fs/ext4/balloc.c) would mark, and whatever other groups keep here (flex_bg)."""
        at, end = first, first + count
        for start, stop in ((first, first + self._super_blocks(group.number)), *self._metadata_in(first, end)):
            length = min(stop, end) - max(start, at)
            if length > 0:
                yield max(start, at), length
                at = min(stop, end)

    def _metadata_in(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        at = max(bisect_right(self._metadata, (first, 1 << 62)) - 1, 0)
        for start, stop in self._metadata[at:]:
            if start >= end:
                return
            yield start, stop

    def _super_blocks(self, group: int) -> int:
        """The superblock's copy and the descriptors in a group (ext4_num_base_meta_blocks)."""
        block, place = divmod(group, self.descs_per_block)
        if not self.incompat & INCOMPAT_META_BG or block < self.first_meta_bg:
            old = self.first_meta_bg if self.incompat & INCOMPAT_META_BG else self.gdt_blocks
            return 1 + old + self.reserved_gdt_blocks if self._has_super(group) else 0
        return self._has_super(group) + (place in (0, 1, self.descs_per_block - 1))

    @cached_property
    def _metadata(self) -> list[tuple[int, int]]:
        """(first block, the one behind the last) of every group's bitmaps and inode table, joined."""
        places = array("Q")
        for group in self._groups():
            for start in (group.block_bitmap, group.inode_bitmap):
                places.append(self._inside(start) << 1)
            places.append(self._inside(group.inode_table) << 1 | 1)
        joined: list[tuple[int, int]] = []
        for place in sorted(places):
            start, stop = place >> 1, (place >> 1) + (self.table_blocks if place & 1 else 1)
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], stop)
            else:
                joined.append((start, stop))
        return joined

    def _by_bitmap(self, group: Group, first: int, count: int) -> Iterator[Extent]:
        clusters = -(-count // self.cluster_blocks)
        raw = self._read(self._inside(group.block_bitmap) * self.block_bytes, -(-clusters // 8))
        bits = int.from_bytes(raw, "little") & (1 << clusters) - 1
        if clusters - bits.bit_count() != group.free_clusters:
            told = f"{clusters - bits.bit_count()} free by its bitmap, {group.free_clusters} by its descriptor"
            raise DecodeError(DOING, f"group {group.number} has {told}")
        for start, length in set_bits(raw, clusters):
            at = start * self.cluster_blocks
            yield first + at, min(length * self.cluster_blocks, count - at)


def is_power(number: int, base: int) -> bool:
    """Whether it is a power of `base`."""
    while number % base == 0:
        number //= base
    return number == 1


def set_bits(bitmap: bytes, count: int) -> Iterator[Extent]:
    """(first, length) of the runs of ones among the first `count` bits, the lowest of each byte first."""
    start = at = 0
    for match in RUN.finditer(bitmap):
        run = match.group()
        if run[0] == 0xFF:
            at += 8 * len(run)
            continue
        for bit in range(8) if run[0] else ():
            if run[0] >> bit & 1:
                at += 1
                continue
            if at > start and start < count:
                yield start, min(at, count) - start
            start = at = match.start() * 8 + bit + 1
        if not run[0]:
            if at > start and start < count:
                yield start, min(at, count) - start
            start = at = match.end() * 8
    if at > start and start < count:
        yield start, min(at, count) - start
