# SPDX-License-Identifier: Apache-2.0
"""What stands on disks that are to be written, and in what order it is taken down: RAID arrays, logical volumes.

Only what is idle, and stands on nothing but these disks: an array that reaches onto another disk is somebody's data.
"""

from __future__ import annotations

from agent.errors import DiskInUse
from agent.model.disk import Disk, Holder
from agent.model.plan import StopHolder
from agent.plan.disk import must_be_free


def stops(chosen: tuple[Disk, ...]) -> tuple[StopHolder, ...]:
    """Each before those that it stands on. Raises `DiskInUse` for what is mounted, or cannot be taken down."""
    found = tuple(dict.fromkeys(one for disk in chosen for one in disk.holders))
    ours = {name for disk in chosen for name in (disk.name, *(part.name for part in disk.partitions))}
    for disk in chosen:
        for one in disk.holders:
            must_be_stoppable(disk, one, found, ours)
        must_be_free(disk, besides=found)
    return tuple(StopHolder(holder=one) for one in found)


def must_be_stoppable(disk: Disk, one: Holder, found: tuple[Holder, ...], ours: set[str]) -> None:
    """Raises `DiskInUse`."""
    doing = f"preparing {disk.identity}"
    if one.kind is None:
        raise DiskInUse(doing, f"it is held by {one}, which is neither a RAID array nor the device mapper's")
    elsewhere = [below for below in one.on if below not in ours and not is_part_of(below, found)]
    if elsewhere:
        raise DiskInUse(doing, f"{one} stands on {', '.join(elsewhere)}, too, which is not to be written")


def is_part_of(name: str, found: tuple[Holder, ...]) -> bool:
    """Whether it is one of these devices, or a partition of one (md127p1)."""
    return any(name == one.name or name.startswith(f"{one.name}p") for one in found)
