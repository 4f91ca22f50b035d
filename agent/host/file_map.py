# SPDX-License-Identifier: Apache-2.0
"""Where a file lies on its filesystem's device, by the kernel (Documentation/filesystems/fiemap.rst)."""

from __future__ import annotations

import fcntl
import struct

from agent.errors import HostError

FS_IOC_FIEMAP = 0xC020660B
HEADER, EXTENT = struct.Struct("=QQIIII"), struct.Struct("=QQQ16xI12x")
FLAG_SYNC, LAST = 1, 0x1
ODD = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000
"""Unknown, delayed, encoded, encrypted, not aligned, inline, tail, shared with another file: not the file's alone."""
AT_ONCE = 512
MOST = 1 << 20


def extents_of(fd: int) -> list[tuple[int, int, int]]:
    """(offset in the file, offset on the device, length). Of btrfs, the device is that of logical addresses. Raises
    `HostError` for what lies in no place of its own.
    """
    found: list[tuple[int, int, int]] = []
    at = 0
    while len(found) < MOST:
        asked = bytearray(HEADER.pack(at, (1 << 64) - 1 - at, FLAG_SYNC, 0, AT_ONCE, 0) + bytes(EXTENT.size * AT_ONCE))
        fcntl.ioctl(fd, FS_IOC_FIEMAP, asked)
        count = HEADER.unpack_from(asked)[3]
        for number in range(count):
            logical, physical, length, flags = EXTENT.unpack_from(asked, HEADER.size + number * EXTENT.size)
            if flags & ODD:
                raise HostError("finding where a file lies", f"its bytes from {logical} on are not its own: {flags:#x}")
            found.append((logical, physical, length))
            at = logical + length
            if flags & LAST:
                return found
        if not count:
            return found
    raise HostError("finding where a file lies", f"it is in more than {MOST} pieces")
