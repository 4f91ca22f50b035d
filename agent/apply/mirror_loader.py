# SPDX-License-Identifier: Apache-2.0
"""Doing `MirrorLoader`: the image's EFI system partition, byte for byte, into the array that firmware can read.

In: the sealed array. Its FAT filesystem is read by us; nothing of it is mounted or run. UUID and label stay, so that
the system mounts the mirror in place of what was inside; that one is emptied when all of the copy is proven.
"""

from __future__ import annotations

from agent.apply.config_drive import SLICE_BYTES
from agent.errors import DecodeError, ImageTooLarge, NotAsObserved, NothingToBoot
from agent.host.doors import BlockDevice, Host
from agent.model.disk import MIB
from agent.model.esp import partitions
from agent.model.filesystem.fat import layout
from agent.model.job import Advance, Result
from agent.model.plan import MirrorLoader


def mirror_loader(host: Host, step: MirrorLoader, advance: Advance) -> Result:
    """Returns how much was copied. Raises `NothingToBoot`, `ImageTooLarge`, `HostError`: nothing boots then."""
    doing = f"copying the EFI system partition of {step.disk.path} to {step.to.path}"
    with host.block.open_exclusive(step.disk.path) as source, host.block.open_exclusive(step.to.path) as mirror:
        start, size = system_partition(source, doing)
        if size > mirror.size_bytes:
            raise ImageTooLarge(doing, f"it has {size} bytes, and there is room for {mirror.size_bytes}")
        head = min(MIB, size)
        mirror.zero(0, size)
        for at in range(head, size, SLICE_BYTES):
            advance(at, size)
            put(mirror, at, source.read(start + at, min(SLICE_BYTES, size - at)))
        mirror.flush()
        put(mirror, 0, source.read(start, head))
        mirror.flush()
        compare(source, start, mirror, size, doing)
        source.zero(start, head)
        source.flush()
        if any(source.read(start, head)):
            raise NotAsObserved(doing, "the one inside was emptied, and is not empty")
        source.reread_table()
    return {"mirrored_loader_bytes": size}


def system_partition(source: BlockDevice, doing: str) -> tuple[int, int]:
    """Where the first one with a filesystem begins, and how long that is, in whole sectors. Raises `NothingToBoot`."""
    sector, seen = source.logical_sector_bytes, "it has none"
    for one in partitions(source.read(0, min(MIB, source.size_bytes)), sector):
        start, room = one.first_lba * sector, one.sectors * sector
        if start + room > source.size_bytes:
            seen = f"partition {one.number} reaches past the end"
            continue
        try:
            size = layout(lambda offset, length, at=start: source.read(at + offset, length), room).size_bytes  # type: ignore[misc]
        except DecodeError as error:
            seen = f"partition {one.number}: {error.evidence}"
            continue
        return start, min(-(-size // sector) * sector, room)
    raise NothingToBoot(doing, seen, hint="Deploy an image that boots by UEFI.")


def put(mirror: BlockDevice, at: int, data: bytes) -> None:
    """What is zero is there already."""
    if any(data):
        mirror.write(at, data)


def compare(source: BlockDevice, start: int, mirror: BlockDevice, size: int, doing: str) -> None:
    """What is on the medium is what was copied; if not, firmware must not find it."""
    for at in range(0, size, SLICE_BYTES):
        length = min(SLICE_BYTES, size - at)
        if mirror.read(at, length) != source.read(start + at, length):
            mirror.zero(0, min(MIB, size))
            mirror.flush()
            raise NotAsObserved(doing, f"what was read back at byte {at} differs from what was written")
