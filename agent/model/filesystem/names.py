# SPDX-License-Identifier: Apache-2.0
"""What a filesystem is called, and how large it says it is, from its first bytes alone. Pure.

Enough to know a root filesystem before any of it is written, and to see that one which was just made is there. Places:
fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h, include/uapi/linux/btrfs_tree.h, include/linux/swap.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from agent.errors import DecodeError
from agent.model.filesystem import text
from agent.model.filesystem.known import marked

HEAD_BYTES = 1024 * 1024
"""Every superblock that is read here lies in the first MiB."""
EXT4_64BIT = 0x80
BTRFS_AT = 0x10000
MOST_LOG_BLOCK = 6
DOING = "reading what the filesystem is called"


@dataclass(frozen=True)
class Names:
    """`size_bytes` is where the filesystem ends by its own account; `unit_bytes` is the smallest piece of it that a
    kernel reads, so that none mounts it from a disk with larger sectors. Of swap space neither is asked.
    """

    kind: str
    uuid: str
    label: str | None
    size_bytes: int
    unit_bytes: int


def names_of(head: bytes) -> Names:
    """Of the filesystem that begins so. Raises `DecodeError` for what is none, or none of these kinds."""
    found = marked(lambda offset, length: head[offset : offset + length], len(head))
    if len(found) != 1 or found[0] not in READERS:
        raise DecodeError(DOING, f"its first bytes are those of {' and '.join(found) or 'nothing that is known'}")
    try:
        return READERS[found[0]](head)
    except (struct.error, ValueError):
        raise DecodeError(DOING, f"{found[0]} in {len(head)} bytes is cut short") from None


def ext4(head: bytes) -> Names:
    """ext2, ext3 and ext4 have one superblock."""
    block = head[1024:2048]
    (low,) = struct.unpack_from("<I", block, 0x4)
    (log_block,) = struct.unpack_from("<I", block, 0x18)
    (incompat,) = struct.unpack_from("<I", block, 0x60)
    (high,) = struct.unpack_from("<I", block, 0x150)
    if log_block > MOST_LOG_BLOCK:
        raise DecodeError(DOING, f"blocks of 2^{log_block + 10} bytes")
    blocks = low | (high << 32 if incompat & EXT4_64BIT else 0)
    unit = 1024 << log_block
    return Names("ext4", str(UUID(bytes=block[0x68:0x78])), text(block[0x78:0x88]), blocks * unit, unit)


def xfs(head: bytes) -> Names:
    """Big-endian, as all of XFS."""
    block_bytes, blocks = struct.unpack_from(">IQ", head, 4)
    (sector,) = struct.unpack_from(">H", head, 102)
    return Names("xfs", str(UUID(bytes=head[32:48])), text(head[108:120]), blocks * block_bytes, sector)


def btrfs(head: bytes) -> Names:
    """The first of its superblocks."""
    block = head[BTRFS_AT : BTRFS_AT + 4096]
    (total,), (sector,) = struct.unpack_from("<Q", block, 0x70), struct.unpack_from("<I", block, 0x90)
    return Names("btrfs", str(UUID(bytes=block[0x20:0x30])), text(block[0x12B:0x22B]), total, sector)


def swap(head: bytes) -> Names:
    """Its header lies in the first page."""
    return Names("swap", str(UUID(bytes=head[1036:1052])), text(head[1052:1068]), 0, 0)


READERS = {"ext4": ext4, "xfs": xfs, "btrfs": btrfs, "swap": swap}
