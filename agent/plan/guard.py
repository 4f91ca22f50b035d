# SPDX-License-Identifier: Apache-2.0
"""Filesystems that several machines use at once: the disk may be theirs as much as ours, and nobody here can tell.

Known by what libblkid finds, on the disk, on its partitions and on what stands on them, and by partition types, since
of GPFS nothing else can be seen. ironic-python-agent means the same list; its guard compares letters of another case.
"""

from __future__ import annotations

from agent.errors import DiskShared
from agent.model.disk import SHARED, Disk
from agent.model.fact import Unknown


def must_not_be_shared(disks: tuple[Disk, ...], *, allowed: bool) -> None:
    """Raises `DiskShared`, which names each, unless their loss is allowed."""
    found = [f"{disk.identity} holds {', '.join(held)}" for disk in disks if (held := shared(disk))]
    if found and not allowed:
        raise DiskShared("preparing the disks", f"{'; '.join(found)}: other machines may be using it")


def shared(disk: Disk) -> list[str]:
    """What of it is one, and where. What nobody could look at may be one; but an array was assembled here, of disks
    that were looked at.
    """
    if isinstance(disk.contents, Unknown):
        return [] if disk.identity.array_uuid else [f"what is not known ({disk.contents.unknown})"]
    return [f"{SHARED[one.kind.lower()]} on {one.node}" for one in disk.contents if one.kind.lower() in SHARED]
