# SPDX-License-Identifier: Apache-2.0
"""Where on a disk something may say what it holds: both ends of the disk, and of each of its partitions.

How far from an end is what libblkid looks at (util-linux, libblkid/src/superblocks and partitions), and more: LUKS2
keeps its keys in the first 16 MiB, md 0.90 and 1.0, DDF, GPT, ZFS and bcachefs a copy or all they have at the end, and
btrfs copies at 64 MiB and 256 GiB (fs/btrfs/disk-io.h).
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.model.disk import MIB, Disk
from agent.model.plan import Area, Wipe

END_BYTES = 16 * MIB
COPIES_AT = (64 * MIB, 256 * 1024 * MIB)
COPY_BYTES = 64 * 1024


def wipe(disk: Disk) -> Wipe:
    """All places of one disk."""
    return Wipe(disk=disk.identity, areas=areas(disk))


def areas(disk: Disk) -> tuple[Area, ...]:
    """In order, apart from each other, in whole sectors."""
    extents = [(0, disk.size_bytes), *((part.offset_bytes, part.size_bytes) for part in disk.partitions)]
    places = [
        (max(offset + start, 0), min(offset + end, disk.size_bytes))
        for offset, size in extents
        for start, end in telling(size)
    ]
    sector = disk.logical_sector_bytes
    whole = [(start // sector * sector, -(-end // sector) * sector) for start, end in places if start < end]
    return tuple(Area(offset_bytes=start, length_bytes=end - start) for start, end in merged(whole))


def telling(size_bytes: int) -> Iterable[tuple[int, int]]:
    """(start, end) of the places within a disk or a partition of that size."""
    yield 0, min(END_BYTES, size_bytes)
    yield max(size_bytes - END_BYTES, 0), size_bytes
    yield from ((at, min(at + COPY_BYTES, size_bytes)) for at in COPIES_AT if at < size_bytes)


def merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What touches is one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
