# SPDX-License-Identifier: Apache-2.0
"""Doing `SealDisk`: the act that makes a disk bootable, and therefore the last one.

the engine's record zeroed, backup table → flush → head but for its first sector → flush → read both back → first
sector → flush → read it back → kernel re-reads the table → the new partition is seen. If anything fails once the head
is written, it is zeroed again, its first sector first: what is not proven must not boot.

A power cut may leave any part of a write on the medium, but for a sector, which is there or is not. Without the first
sector neither BIOS nor UEFI (which looks for a protective MBR) starts anything; with it the boot code and the table
behind it must be whole.
"""

from __future__ import annotations

from threading import Event

from agent.apply.resume import forget
from agent.errors import DiskChanged, HostError, NotAsObserved
from agent.host.doors import BlockDevice, Host
from agent.model.job import Advance, Result
from agent.model.partition_table import Fitted, fit
from agent.model.plan import Partition, SealDisk

LOOKS, LOOK_S = 25, 0.2
SYSFS_SECTOR_BYTES = 512  # Documentation/ABI/stable/sysfs-block: start and size are in these, whatever the disk's are


def seal_disk(host: Host, step: SealDisk, advance: Advance) -> Result:
    """Returns the table's kind. Raises `HostError`; the disk cannot boot then."""
    doing = f"sealing {step.disk.path}"
    head = host.files.read_bytes(step.head_path)
    table = fit(head, step.disk.size_bytes, step.disk.logical_sector_bytes, step.add)
    advance(0, len(table.head))
    host.files.remove(step.head_path)  # before the commit: nothing that can fail may come after it
    with host.block.open_exclusive(step.disk.path) as disk:
        must_be_ours_yet(disk, len(table.head), doing)
        forget(disk, len(table.tail))  # a preserved partition may be known by the old table there alone
        if table.tail:
            disk.write(disk.size_bytes - len(table.tail), table.tail)
        disk.flush()
        try:
            commit(disk, table, doing)
            disk.reread_table()
            for partition in step.add:
                must_be_seen(host, step, partition, doing)
        except BaseException:
            first = disk.logical_sector_bytes
            disk.zero(0, first)
            disk.flush()
            disk.zero(first, len(table.head) - first)
            disk.flush()
            raise
    return {"partition_table": table.kind}


def must_be_ours_yet(disk: BlockDevice, head_bytes: int, doing: str) -> None:
    """Its head is as it was left: zero. Another order may have had the disk since it was written. Raises
    `DiskChanged`."""
    if any(disk.read(0, head_bytes)):
        told = "somebody has written to what it begins with, which was zeroed before the image was written"
        raise DiskChanged(doing, told, hint="Look at what is on it, then order it anew.")


def commit(disk: BlockDevice, table: Fitted, doing: str) -> None:
    """Write the head, its first sector last: once all else is seen to be on the medium, the backup too. A disk that
    fails from then on, so that nothing of it can be taken back, is whole.
    """
    first, last = disk.logical_sector_bytes, disk.size_bytes - len(table.tail)
    disk.write(first, table.head[first:])
    disk.flush()
    must_be_there(disk, last, table.tail, doing)
    must_be_there(disk, first, table.head[first:], doing)
    disk.write(0, table.head[:first])
    disk.flush()
    must_be_there(disk, 0, table.head[:first], doing)


def must_be_there(disk: BlockDevice, offset: int, written: bytes, doing: str) -> None:
    """What was written is read back."""
    if written and disk.read(offset, len(written)) != written:
        raise NotAsObserved(doing, "what was read back differs from what was written")


def must_be_seen(host: Host, step: SealDisk, partition: Partition, doing: str) -> None:
    """The kernel has a partition at that place. A disk that is closed has its table read once more by udev
    (60-block.rules, `watch`): meanwhile partitions are gone, and a look finds none, or one that goes.
    """
    folder, seen = f"/sys/block/{step.disk.path.removeprefix('/dev/')}", list[tuple[int, int]]()
    for _ in range(LOOKS):
        try:
            seen = places(host, folder)
        except HostError as error:
            if not error.is_gone:
                raise
        if (partition.offset_bytes, partition.size_bytes) in seen:
            return
        host.clock.wait(Event(), LOOK_S)
    told = ", ".join(f"{size} bytes at {start}" for start, size in sorted(seen)) or "none"
    raise NotAsObserved(doing, f"the kernel does not see '{partition.label}'; the partitions it sees: {told}")


def places(host: Host, folder: str) -> list[tuple[int, int]]:
    """(offset, size) of the partitions that a disk has now. Raises `HostError`."""
    names = [name for name in host.files.names(folder) if host.files.exists(f"{folder}/{name}/start")]
    told = [[int(host.files.read_text(f"{folder}/{name}/{fact}")) for fact in ("start", "size")] for name in names]
    return [(start * SYSFS_SECTOR_BYTES, size * SYSFS_SECTOR_BYTES) for start, size in told]
