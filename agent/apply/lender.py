# SPDX-License-Identifier: Apache-2.0
"""Who gives an image its disk, and when: once its first bytes are known, and judged to be such as the disk can take.

    who writes it: fetches, verifies, unpacks ──► head ──► who has the disk: judges, opens, makes it unable to boot
                                              ◄── the disk, to be written from there on

Both are one process, or two (`agent.apply.writer`): then who fetches and unpacks has no right but to this one disk.
The head is kept on this side, and is what the disk begins with in the end: whoever writes the rest cannot change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from typing import Protocol

from agent.apply.target import make_unbootable
from agent.errors import (
    DecodeError,
    DiskChanged,
    HostError,
    ImageRefused,
    ImageTooLarge,
    ImageTruncated,
    NotAsObserved,
    SectorSizeMismatch,
)
from agent.host.doors import BlockDevice, Host
from agent.model import gpt, mbr
from agent.model.disk import MIB
from agent.model.esp import partitions
from agent.model.filesystem.names import Names, names_of
from agent.model.job import Result
from agent.model.partition_table import Fitted, blank, fit, partitions_in_backup
from agent.model.plan import NewTable, WriteImage
from agent.model.url import named

ROOTS = ("ext4", "xfs", "btrfs")
"""Whose files can be looked at: the loader comes from there."""
LARGER = ("mkfs.xfs -s size=4096", "mke2fs -b 4096")
OTHERWISE = "Use an image of a root filesystem (ext4, XFS, btrfs), or deploy it as a whole-disk image."


class Lender(Protocol):
    """Has the disk of one step."""

    def tell(self, payload: bytes, signature: bytes | None) -> None:
        """The manifest of a chunked image, before `begin`. Raises as `chunked.locate` does where it is not the one that
        was meant, or is not signed as it must be."""
        ...

    def begin(self, head: bytes) -> AbstractContextManager[BlockDevice]:
        """The disk, with nobody else in it, and unable to boot. Raises `PreconditionError`, `ImageError`, `HostError`;
        untouched, where the image that begins so cannot be taken."""
        ...

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """The same disk, by another door, for reading only."""
        ...


class Owner:
    """`Lender` in this very process."""

    def __init__(self, host: Host, step: WriteImage) -> None:
        self._host = host
        self._step = step
        self.head = b""
        """What the image begins with; none before it has begun."""
        self.names: Names | None = None
        """Of the root filesystem, where it is an image of one."""
        self.seen: bytes | None = None
        """What the disk began with when it was looked at, as long as it is not ours."""

    def look(self) -> None:
        """What the disk begins with, now that it was found to be such as may be written to. Until an image's first
        bytes are there it may take minutes, and another order for the same disk may come to its end meanwhile.
        """
        with self.open_read() as device:
            self.seen = beginning_of(device, self._step.hold_back_bytes)

    def tell(self, payload: bytes, signature: bytes | None) -> None:
        """Who asks has judged it."""

    @contextmanager
    def begin(self, head: bytes) -> Iterator[BlockDevice]:
        """See `Lender`."""
        step, disk = self._step, self._step.disk
        if step.table is None:
            must_have_its_head(head, step)
            fit(head, disk.size_bytes, disk.logical_sector_bytes, step.add)
            must_be_mirrored(head, disk.logical_sector_bytes, step.esp_limit_bytes, doing_of(step))
        else:
            root = step.table.root
            self.names = root_names(head, root.size_bytes, disk.logical_sector_bytes, doing_of(step))
        with self._host.block.open_exclusive(disk.path) as device:
            self._must_be_as_it_was(device)
            if step.table is None or step.table.kept is None:
                make_unbootable(device, step.hold_back_bytes)
            else:
                make_unbootable_but_known(device, step.table, fitted(step), step.hold_back_bytes)
            self.head = head
            yield device

    def _must_be_as_it_was(self, device: BlockDevice) -> None:
        """The first time: from then on it is ours. Raises `DiskChanged`."""
        if self.seen is not None and beginning_of(device, self._step.hold_back_bytes) not in (None, self.seen):
            told = "it begins with something else than when this was begun: somebody has written to it"
            raise DiskChanged(doing_of(self._step), told, hint="Look at what is on it, then order it anew.")
        self.seen = None

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """See `Lender`."""
        return self._host.block.open_read(self._step.disk.path)

    def hand_on(self) -> Result:
        """All else is written and verified: the head is kept for who seals the disk. What it tells of the image."""
        self._host.files.write(self._step.head_path, sealed_head(self._step, self.head), mode=0o600)
        return {} if self.names is None else {"root_uuid": self.names.uuid, "root_filesystem": self.names.kind}


def beginning_of(device: BlockDevice, size_bytes: int) -> bytes | None:
    """The digest of its first bytes; None for a medium that cannot be read there: writing to it may cure that."""
    try:
        return sha256(device.read(0, min(size_bytes, device.size_bytes))).digest()
    except HostError:
        return None


def doing_of(step: WriteImage) -> str:
    """For messages."""
    doing = f"writing {named(step.image.url)} to {step.disk.path}"
    return doing if step.table is None else f"{doing}, into '{step.table.root.label}'"


def sealed_head(step: WriteImage, head: bytes) -> bytes:
    """The disk's first bytes, to be written last. Beside a partition image they are a table without partitions; that
    image's own head is in its partition."""
    disk = step.disk
    if step.table is None:
        return head
    return blank(step.table.guid, disk.size_bytes, disk.logical_sector_bytes, step.hold_back_bytes)


def fitted(step: WriteImage) -> Fitted:
    """The table of ours, with all its partitions."""
    disk = step.disk
    return fit(sealed_head(step, b""), disk.size_bytes, disk.logical_sector_bytes, step.add)


def must_have_its_head(head: bytes, step: WriteImage) -> None:
    """Raises `ImageTruncated` for less than is held back, and `ImageTooLarge` for what says by itself that it does not
    fit."""
    if len(head) != step.hold_back_bytes:
        raise ImageTruncated(doing_of(step), f"it begins with {len(head)} bytes, which is no disk")
    size = step.image.size_bytes
    if size is not None and size > step.limit_bytes:
        raise ImageTooLarge(doing_of(step), f"{size} bytes do not fit below byte {step.limit_bytes}")


def must_be_mirrored(head: bytes, sector_bytes: int, limit_bytes: int | None, doing: str) -> None:
    """Raises `ImageTooLarge` where no EFI system partition of the image fits into the mirror that it will be copied to:
    else that would be found when all of the image is written, and nothing boots.
    """
    sizes = [one.sectors * sector_bytes for one in partitions(head, sector_bytes)] if limit_bytes is not None else []
    if limit_bytes is not None and sizes and min(sizes) > limit_bytes:
        told = f"its EFI system partition has {min(sizes)} bytes, and the mirror that firmware reads {limit_bytes}"
        raise ImageTooLarge(doing, told, hint="Make the image's EFI system partition smaller, or deploy to one disk.")


def make_unbootable_but_known(device: BlockDevice, table: NewTable, told: Fitted, head_bytes: int) -> None:
    """The head is zeroed when a table that has what is kept is on the medium, at the end."""
    assert table.kept is not None
    tail, sector = device.read(device.size_bytes - MIB, MIB), device.logical_sector_bytes
    there = [place[1:] for place in partitions_in_backup(tail, sector, device.size_bytes)]
    if (table.kept.offset_bytes, table.kept.size_bytes) not in there:
        device.write(device.size_bytes - len(told.tail), told.tail)
        device.flush()
    device.zero(0, head_bytes)
    device.flush()


def must_begin_so(region: BlockDevice, head: bytes, doing: str) -> None:
    """A partition's first bytes are on the medium, which are held back from none. Raises `NotAsObserved`."""
    if region.read(0, len(head)) != head:
        raise NotAsObserved(doing, "its first bytes are not what was written there")


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
