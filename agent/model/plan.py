# SPDX-License-Identifier: Apache-2.0
"""A plan is data: steps that name exact devices, offsets and addresses, and what must hold before the first of them.

Executing a plan leaves no choice to be made. A plan is shown to operators as it is (`bms-agent … --plan`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from agent.model.burn_in import BurnIn
from agent.model.config_drive import ConfigDrive, DriveImage
from agent.model.disk import DiskIdentity, Holder
from agent.model.efi import BootEntry
from agent.model.erasing import Means, Shut
from agent.model.frozen import Frozen
from agent.model.image import OPEN, Access, ImageRef
from agent.model.inject import InjectFiles
from agent.model.leftovers import ResetPlatform
from agent.model.raid import Level
from agent.model.validation import Validate


class Epilogue(StrEnum):
    """What happens after the final report was acknowledged: it ends this boot, so nothing can be reported after it."""

    REBOOT = "reboot"
    POWER_OFF = "power_off"


PartitionKind = Literal["data", "esp", "linux", "swap"]


class Partition(Frozen):
    """A partition to be added to the image's table, or to a new one."""

    label: str
    offset_bytes: int
    size_bytes: int
    kind: PartitionKind = Field(default="data", description="what its type says that it holds")

    @property
    def end_bytes(self) -> int:
        """The first byte behind it."""
        return self.offset_bytes + self.size_bytes


class NewTable(Frozen):
    """The image is a root filesystem: it goes into this partition of a new GPT, which has the partitions of `add`."""

    guid: str = Field(description="of the disk; those of partitions and filesystems follow from it")
    root: Partition
    kept: Partition | None = Field(default=None, description="a partition that is there already: no byte is changed")


class WriteImage(Frozen):
    """Stream the image to the disk, all but the first `hold_back_bytes`, which go to `head_path`."""

    kind: Literal["write_image"] = "write_image"
    disk: DiskIdentity
    image: ImageRef
    limit_bytes: int = Field(description="the image may not reach past this offset of the disk")
    hold_back_bytes: int
    head_path: str
    resumed: bool = Field(default=False, description="this request has written to this disk before")
    verify: bool = Field(default=False, description="read the medium back when all is written")
    trusted_keys: tuple[str, ...] = Field(
        default=(), description="raw Ed25519 public keys in base64; where there are any, one must have signed the image"
    )
    add: tuple[Partition, ...] = Field(
        default=(),
        description="what will be added to the image's table: that it can be is checked before the first write",
    )
    table: NewTable | None = Field(default=None, description="in place of the image's, which has none")
    esp_limit_bytes: int | None = Field(
        default=None, description="its EFI system partition will be copied to a place of this size"
    )


class PlaceConfigDrive(Frozen):
    """Write a vfat filesystem with these files, or the filesystem as it is given, at this place of the disk."""

    kind: Literal["place_config_drive"] = "place_config_drive"
    disk: DiskIdentity
    offset_bytes: int
    size_bytes: int
    label: str
    drive: ConfigDrive | DriveImage


class MakeFilesystem(Frozen):
    """Make a filesystem, or swap space, in this place of the disk; it bears the partition's label."""

    kind: Literal["make_filesystem"] = "make_filesystem"
    disk: DiskIdentity
    partition: Partition
    filesystem: Literal["swap", "ext4", "ext3", "ext2"]
    uuid: str


class InstallLoader(Frozen):
    """Look into the root filesystem, read-only, and fill the EFI system partition with the loader that it carries. What
    the loader reads first is written by us; nothing of the image is run.
    """

    kind: Literal["install_loader"] = "install_loader"
    disk: DiskIdentity
    esp: Partition
    root: Partition
    architecture: str = Field(description="whose programs the firmware starts: x86_64, aarch64 …")
    volume_id: str = Field(pattern=r"^[0-9a-f]{8}$")


class SealDisk(Frozen):
    """Fit the partition table to the disk, flush, write the held-back head LAST, and see the kernel re-read it."""

    kind: Literal["seal_disk"] = "seal_disk"
    disk: DiskIdentity
    head_path: str
    add: tuple[Partition, ...] = ()


class MirrorLoader(Frozen):
    """Copy the EFI system partition of what was written to an array into the array `to`, whose parts the firmware can
    read: its boot sector last. Then the one inside is emptied, since no two filesystems may have one UUID.
    """

    kind: Literal["mirror_loader"] = "mirror_loader"
    disk: DiskIdentity
    to: DiskIdentity


class EraseDisk(Frozen):
    """Write canaries to the samples' places, let the whole disk forget by the first of these means that the drive
    begins with, and read the samples back: nothing may be as before, and what was zeroed must be zero.
    """

    disk: DiskIdentity
    sample_offsets: tuple[int, ...]
    sample_bytes: int
    means: tuple[Means, ...] = Field(default=(Means.ZERO,), min_length=1)
    notes: tuple[str, ...] = Field(default=(), description="better means that are of no use now, and why")
    shut: Shut | None = Field(default=None, description="a sanitize has failed on it: it is opened first")
    has_password: bool = Field(default=False, description="an ATA drive that an interrupted erasure may have locked")
    hidden_bytes: int | None = Field(
        default=0, description="how much of it nobody reaches: a host protected area; null if nobody knows"
    )
    shown_offsets: tuple[int, ...] = Field(
        default=(), description="samples of all of it, where it is to show first what it hides; none: that stays hidden"
    )
    unseen: tuple[int, ...] = Field(default=(), description="namespaces of the drive that nobody sees")
    boot_bytes: int | None = Field(
        default=0, description="of each of both boot partitions, which nothing erases: they are to be blank"
    )
    model: str | None = None
    firmware: str | None = None


class LeaveDisk(Frozen):
    """Leave a disk as it is, and say so: the request says that it is never to be written to."""

    kind: Literal["leave_disk"] = "leave_disk"
    disk: DiskIdentity
    why: str


class Area(Frozen):
    """A range of a disk."""

    offset_bytes: int
    length_bytes: int


class Wipe(Frozen):
    """One disk, and where on it something may say what it holds."""

    disk: DiskIdentity
    areas: tuple[Area, ...]


class WipeMetadata(Frozen):
    """Zero these areas of each disk, read them back, and see that nobody finds anything on it any more. A disk that
    fails keeps no other from being wiped; all that failed are named at the end.
    """

    kind: Literal["wipe_metadata"] = "wipe_metadata"
    wipes: tuple[Wipe, ...]


def by_disk(erasures: Iterable[EraseDisk | Wipe]) -> list[list[EraseDisk | Wipe]]:
    """Those that bear one name together: one disk by several paths, or several that cannot be told apart. None of them
    is erased beside another, which would find its canaries.
    """
    found: dict[object, list[EraseDisk | Wipe]] = {}
    for one in erasures:
        has_name = one.disk.wwn or one.disk.serial
        found.setdefault(one.disk.bearer if has_name else one.disk.path, []).append(one)
    return list(found.values())


class EraseDisks(Frozen):
    """Disks, so many `at_once`, of which some may lose only what says what they hold. A disk that fails keeps no other
    from being erased; all that failed are named at the end, or quarantined. What came of each is certified.
    """

    kind: Literal["erase_disks"] = "erase_disks"
    erasures: tuple[EraseDisk | Wipe, ...]
    at_once: int = Field(ge=1)
    node_id: str = Field(default="", description="whose certificate it is")
    request_id: str = ""
    machine_serial: str | None = None
    firmware: dict[str, str] = Field(default_factory=dict, description="versions, by what they run on")
    quarantine: bool = False
    unwritable: tuple[DiskIdentity, ...] = Field(default=(), description="nothing is done to these: they have failed")


class StopHolder(Frozen):
    """Take down a device that stands on disks which are to be written. Nothing of what it holds is changed."""

    kind: Literal["stop_holder"] = "stop_holder"
    holder: Holder


class DiskTable(Frozen):
    """A new GPT for a disk, with these partitions and no others."""

    disk: DiskIdentity
    partitions: tuple[Partition, ...]


class Array(Frozen):
    """A RAID array of partitions."""

    node: str = Field(pattern=r"^/dev/md[0-9]+$")
    level: Level
    name: str
    members: tuple[str, ...] = Field(description="nodes of partitions, such as /dev/sda1")
    metadata: Literal["1.2", "1.0"] = Field(default="1.2", description="1.0 is at the end of members, 1.2 in front")


class BuildRaid(Frozen):
    """Write these partition tables, and make these arrays of their partitions; see that the kernel has them whole."""

    kind: Literal["build_raid"] = "build_raid"
    tables: tuple[DiskTable, ...]
    arrays: tuple[Array, ...]


class CaptureDisk(Frozen):
    """Read the disk into a chunked image at `to`: allocated blocks only, up to the end of the last partition. With
    items to `forget`, a copy of it in memory forgets them first.
    """

    kind: Literal["capture_disk"] = "capture_disk"
    disk: DiskIdentity
    to: str
    access: Access = OPEN
    forget: tuple[str, ...] = ()
    keep_drive: bool = Field(default=False, description="the config drive becomes part of the image")
    force: bool = False
    os: str | None = None
    level: int | None = None


class SelectBoot(Frozen):
    """Let the firmware have this entry, as it is or anew, and this order, which was another `before`."""

    kind: Literal["select_boot"] = "select_boot"
    disk: DiskIdentity
    entry: BootEntry
    before: tuple[int, ...]
    order: tuple[int, ...]


class ForgetBoot(Frozen):
    """Remove these boot entries of the firmware's, and their places in its order."""

    kind: Literal["forget_boot"] = "forget_boot"
    entries: tuple[BootEntry, ...]
    before: tuple[int, ...]
    order: tuple[int, ...]


class ErasePstore(Frozen):
    """Remove what crashed kernels left in the platform's own memory (Documentation/admin-guide/pstore-blk.rst)."""

    kind: Literal["erase_pstore"] = "erase_pstore"


Step = Annotated[
    WriteImage
    | PlaceConfigDrive
    | MakeFilesystem
    | InstallLoader
    | SealDisk
    | MirrorLoader
    | EraseDisks
    | LeaveDisk
    | WipeMetadata
    | StopHolder
    | BuildRaid
    | CaptureDisk
    | SelectBoot
    | ForgetBoot
    | ErasePstore
    | InjectFiles
    | ResetPlatform
    | BurnIn
    | Validate,
    Field(discriminator="kind"),
]
STEP: TypeAdapter[Step] = TypeAdapter(Step)


class DiskMustBe(Frozen):
    """The disk at this path is still this one, writable, neither mounted nor held but by what the plan takes down."""

    kind: Literal["disk_must_be"] = "disk_must_be"
    disk: DiskIdentity
    holders: tuple[Holder, ...] = Field(default=(), description="each is stopped before the disk is written")
    grows_bytes: int = Field(default=0, description="it may show so much more by then, which it hides")


class DiskMustBeIdle(Frozen):
    """The disk at this path is still this one, and neither mounted nor held. It is only read."""

    kind: Literal["disk_must_be_idle"] = "disk_must_be_idle"
    disk: DiskIdentity


Precondition = Annotated[DiskMustBe | DiskMustBeIdle, Field(discriminator="kind")]


class Plan(Frozen):
    """Preconditions, then steps in order, then at most one thing that ends this boot."""

    preconditions: tuple[Precondition, ...] = ()
    steps: tuple[Step, ...] = ()
    epilogue: Epilogue | None = None
