# SPDX-License-Identifier: Apache-2.0
"""Where a partition image goes: between two places of a disk that gets a table of our own.

What the image is can be told from its first MiB: anything but a root filesystem that has room there is refused before
the disk is touched. Where a partition is to be preserved, a table that has it is on the disk at every moment: the copy
at the end is written before the head is zeroed. No firmware or kernel looks at the copy of a disk whose head is blank.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from agent.apply.meter import Meter
from agent.apply.place import DiskPlace
from agent.apply.region import Region
from agent.apply.resume import Bookmark, key_of
from agent.apply.target import Target, make_unbootable
from agent.errors import DecodeError, ImageRefused, ImageTooLarge, NotAsObserved, SectorSizeMismatch
from agent.host.doors import BlockDevice, Host
from agent.model import gpt, mbr
from agent.model.disk import MIB
from agent.model.filesystem.names import Names, names_of
from agent.model.image import ImageRef
from agent.model.job import Result
from agent.model.partition_table import Fitted, blank, fit, partitions_in_backup
from agent.model.plan import NewTable, WriteImage

ROOTS = ("ext4", "xfs", "btrfs")
"""Whose files can be looked at: the loader comes from there."""
LARGER = ("mkfs.xfs -s size=4096", "mke2fs -b 4096")
OTHERWISE = "Use an image of a root filesystem (ext4, XFS, btrfs), or deploy it as a whole-disk image."


class PartitionPlace(DiskPlace):
    """The root partition of a step."""

    def __init__(self, host: Host, step: WriteImage, image: ImageRef, table: NewTable) -> None:
        """`image` has a digest of its own by now."""
        super().__init__(host, step, image)
        self._table = table
        self._names: Names | None = None
        self.least_bytes = 0
        self.limit_bytes = table.root.size_bytes
        self.doing = f"{self.doing}, into '{table.root.label}'"

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """With nobody else on the disk, which cannot boot. Raises `ImageRefused`, `PreconditionError`."""
        self._names = root_names(head, self.limit_bytes, self.sector_bytes, self.doing)
        fitted = self._fitted()
        device = stack.enter_context(self._host.block.open_exclusive(self._step.disk.path))
        if self._table.kept is None:
            make_unbootable(device, self._step.hold_back_bytes)
        else:
            make_unbootable_but_known(device, self._table, fitted, self._step.hold_back_bytes)
        target = Target(self._region(device), bytearray(), self.limit_bytes, meter, self.doing)
        target.put_sparse(0, memoryview(head))
        return target

    @contextmanager
    def open_read(self) -> Iterator[BlockDevice]:
        """The partition, by another door."""
        with super().open_read() as device:
            yield self._region(device)

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> Bookmark:
        """In the disk's last MiB, where no partition lies."""
        region = target.disk
        assert isinstance(region, Region)
        key = key_of(self._image, self._step.disk, self._step.hold_back_bytes, self._table.root.offset_bytes)
        return Bookmark(region.whole, key, done_bytes, total_bytes, self._host.clock)

    def handed_on(self, head: bytes) -> bytes:
        """The head of the disk is that of a table without partitions; that of the image is in its partition."""
        disk = self._step.disk
        return blank(self._table.guid, disk.size_bytes, disk.logical_sector_bytes, self._step.hold_back_bytes)

    def confirmed(self, target: Target, head: bytes) -> Result:
        """The partition's first bytes are on the medium; what its filesystem is called. Raises `NotAsObserved`."""
        assert self._names is not None
        if target.disk.read(0, len(head)) != head:
            raise NotAsObserved(self.doing, "its first bytes are not what was written there")
        return {"root_uuid": self._names.uuid, "root_filesystem": self._names.kind}

    def _fitted(self) -> Fitted:
        disk = self._step.disk
        return fit(self.handed_on(b""), disk.size_bytes, disk.logical_sector_bytes, self._step.add)

    def _region(self, device: BlockDevice) -> Region:
        return Region(device, self._table.root.offset_bytes, self._table.root.size_bytes)


def make_unbootable_but_known(device: BlockDevice, table: NewTable, fitted: Fitted, head_bytes: int) -> None:
    """The head is zeroed when a table that has what is kept is on the medium, at the end."""
    assert table.kept is not None
    tail, sector = device.read(device.size_bytes - MIB, MIB), device.logical_sector_bytes
    there = [place[1:] for place in partitions_in_backup(tail, sector, device.size_bytes)]
    if (table.kept.offset_bytes, table.kept.size_bytes) not in there:
        device.write(device.size_bytes - len(fitted.tail), fitted.tail)
        device.flush()
    device.zero(0, head_bytes)
    device.flush()


def root_names(head: bytes, room_bytes: int, sector_bytes: int, doing: str) -> Names:
    """Of the root filesystem that begins so. Raises `ImageRefused` for what is none, `ImageTooLarge`, and
    `SectorSizeMismatch` for what no kernel mounts from a disk with such sectors, though it did from our loop device.
    """
    try:
        names = names_of(head)
    except DecodeError as error:
        is_disk = gpt.sector_bytes_of(head) is not None or mbr.parse(head) is not None
        told = "it is an image of a whole disk: it has a partition table" if is_disk else error.evidence
        raise ImageRefused(doing, f"it is no root filesystem: {told}", hint=OTHERWISE) from None
    if names.kind not in ROOTS:
        raise ImageRefused(doing, f"it is no root filesystem, but {names.kind}", hint=OTHERWISE)
    if names.size_bytes > room_bytes:
        told = f"its {names.kind} has {names.size_bytes} bytes, the partition {room_bytes}"
        raise ImageTooLarge(doing, told, hint="Make root larger (Ironic: instance_info root_gb).")
    if names.unit_bytes < sector_bytes:
        told = f"its {names.kind} is made of {names.unit_bytes} bytes, and the disk has sectors of {sector_bytes}"
        raise SectorSizeMismatch(doing, told, hint=f"Make it with larger ones ({', '.join(LARGER)}).")
    return names
