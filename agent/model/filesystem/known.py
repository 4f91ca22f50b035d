# SPDX-License-Identifier: Apache-2.0
"""What a partition holds, by its marks: a filesystem that we can read, or the name of something else. Pure.

RAID members are looked for first: with metadata at its end (md 0.90 and 1.0), a member looks like the filesystem on it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from agent.errors import DecodeError
from agent.model.filesystem import Filesystem, Read
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.ext4 import Ext4
from agent.model.filesystem.fat import Fat
from agent.model.filesystem.lvm import label_sector
from agent.model.filesystem.swap import Swap
from agent.model.filesystem.xfs import Xfs

MD_MAGIC = 0xA92B4EFC
# name, offset, mark; as blkid calls them. Read whole, so that there is no harm in one that is missing here.
MARKS = (
    ("ext4", 1024 + 0x38, b"\x53\xef"),
    ("xfs", 0, b"XFSB"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("swap", 4086, b"SWAPSPACE2"),
    ("swap", 4086, b"S1SUSPEND"),
    ("swap", 65526, b"SWAPSPACE2"),
    ("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    ("BitLocker", 3, b"-FVE-FS-"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("vfat", 82, b"FAT32   "),
    ("vfat", 54, b"FAT1"),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("squashfs", 0, b"hsqs"),
    ("iso9660", 0x8001, b"CD001"),
    ("bcache", 4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca"),
    ("bcachefs", 4096 + 24, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9"),
)
ENCLOSING = ("crypto_LUKS", "BitLocker")
"""They lie over a filesystem's first bytes: a filesystem that was made later would have wiped their marks."""
ZFS_MARKS = tuple((0x00BAB10C).to_bytes(8, order) for order in ("little", "big"))
ZFS_AT, ZFS_BYTES, ZFS_STEP = 128 * 1024, 128 * 1024, 1024
ZFS_FEWEST = 4
"""Überblocks of the first label, as many as blkid wants to see."""
PARSERS: dict[str, Callable[[Read, int], Filesystem]] = {
    "ext4": Ext4,
    "xfs": Xfs,
    "btrfs": Btrfs,
    "vfat": Fat,
    "swap": Swap,
}


def kind_of(read: Read, size_bytes: int) -> str | None:
    """The name of what is there, as blkid calls it; `None` for nothing that we know, and for what could be either."""
    if is_raid_member(read, size_bytes):
        return "linux_raid_member"
    if label_sector(read, size_bytes) is not None:
        return "LVM2_member"
    found = marked(read, size_bytes)
    enclosing = [name for name in found if name in ENCLOSING]
    return (enclosing or found)[0] if enclosing or len(found) == 1 else None


def marked(read: Read, size_bytes: int) -> tuple[str, ...]:
    """Everything that has left its mark. Of several, one is of the past, and nothing here says which."""
    fits = ((name, offset, mark) for name, offset, mark in MARKS if offset + len(mark) <= size_bytes)
    found = [name for name, offset, mark in fits if read(offset, len(mark)) == mark]
    return tuple(dict.fromkeys(found + ["zfs_member"] * is_zfs(read, size_bytes)))


def is_zfs(read: Read, size_bytes: int) -> bool:
    """ZFS leaves the first 8 KiB of its place as they were: whatever was there seems to be there still."""
    if size_bytes < ZFS_AT + ZFS_BYTES:
        return False
    ring = read(ZFS_AT, ZFS_BYTES)
    return sum(ring[at : at + 8] in ZFS_MARKS for at in range(0, ZFS_BYTES, ZFS_STEP)) >= ZFS_FEWEST


def open_filesystem(read: Read, size_bytes: int, kind: str | None) -> Filesystem | None:
    """The filesystem of that kind; `None` if its map is a closed book to us. Raises `DecodeError`."""
    parser = PARSERS.get(kind or "")
    return parser(read, size_bytes) if parser else None


def is_raid_member(read: Read, size_bytes: int) -> bool:
    """Superblocks of md (drivers/md/md.c, super_90_load and super_1_load) and of firmware RAID on whole disks."""
    last = size_bytes // 512 * 512
    places = [0, 4096, ((size_bytes // 512 - 16) & ~7) * 512, (size_bytes & ~0xFFFF) - 0x10000]
    for at in places:
        if 0 <= at <= size_bytes - 4 and struct.unpack("<I", read(at, 4))[0] == MD_MAGIC:
            return True
    ends = {-1024: b"Intel Raid ISM Cfg Sig.", -512: b"\xde\x11\xde\x11"}
    return any(last + at >= 0 and read(last + at, len(mark)) == mark for at, mark in ends.items())


def told(error: DecodeError) -> str:
    """Why a filesystem could not be read, in a few words."""
    return error.evidence or error.doing
