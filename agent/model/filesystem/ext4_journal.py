# SPDX-License-Identifier: Apache-2.0
"""The journal inside an ext3 or ext4 (jbd2). In one with nothing to replay, only the superblock means something. Pure.

The rest is old directories and inodes, with the names of files that are gone; no kernel and no e2fsck reads it where
the journal's start is 0 (fs/jbd2/recovery.c, jbd2_journal_recover; Documentation/filesystems/ext4/journal.rst).
"""

from __future__ import annotations

import struct

from agent.model.filesystem import Extent, Read

MAGIC, EXTENT_MAGIC = 0xC03B3998, 0xF30A
SUPERBLOCK_V2 = 4
INODE_BYTES = 128
EXTENTS_FLAG = 0x80000
ROOT = slice(0x28, 0x28 + 60)
UNWRITTEN = 32768
"""An extent that is longer is one of that much less, never written to."""


def idle_blocks(read: Read, block_bytes: int, inode_at: int) -> list[Extent]:
    """(first block, count), ascending, of the journal whose inode lies there; none where that cannot be told."""
    inode = read(inode_at, INODE_BYTES)
    (flags,) = struct.unpack_from("<I", inode, 0x20)
    extents = leaves(read, block_bytes, inode[ROOT]) if flags & EXTENTS_FLAG else []
    if not extents or not is_idle(read(extents[0][0] * block_bytes, 1024), sum(count for _, count in extents)):
        return []
    (first, count), *others = extents
    found = sorted(extent for extent in ((first + 1, count - 1), *others) if extent[1] > 0)
    ends = [first + count for first, count in found]
    return [] if any(end > start for end, (start, _) in zip(ends, found[1:], strict=False)) else found


def leaves(read: Read, block_bytes: int, root: bytes) -> list[Extent]:
    """The file's extents in its own order (Documentation/filesystems/ext4/ifork.rst); none of a tree that is high."""
    depth, entries = node(root)
    if depth == 0:
        return of_node(entries)
    found = []
    for entry in entries if depth == 1 else ():
        low, high = struct.unpack_from("<IH", entry, 4)
        below, its = node(read((low | high << 32) * block_bytes, block_bytes))
        if below:
            return []
        found += of_node(its)
    return found


def node(raw: bytes) -> tuple[int, list[bytes]]:
    """(depth, entries); without entries for what is none."""
    magic, count, _, depth = struct.unpack_from("<HHHH", raw)
    if magic != EXTENT_MAGIC or 12 * (count + 1) > len(raw):
        return 0, []
    return depth, [raw[12 * number : 12 * number + 12] for number in range(1, count + 1)]


def of_node(entries: list[bytes]) -> list[Extent]:
    """Of a leaf."""
    rows = [struct.unpack("<IHHI", entry) for entry in entries]
    return [(low | high << 32, length - UNWRITTEN * (length > UNWRITTEN)) for _, length, high, low in rows]


def is_idle(superblock: bytes, blocks: int) -> bool:
    """Whether it is a journal of so many blocks with nothing in it."""
    told = struct.unpack_from(">II8xI8xI", superblock)
    return told == (MAGIC, SUPERBLOCK_V2, blocks, 0)
