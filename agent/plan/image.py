# SPDX-License-Identifier: Apache-2.0
"""Planning `image.deploy`: image, config drive at the end, and the first MiB last.

    0      1 MiB                          limit                         size − 1 MiB
    ├ head ┼ image ───────────────────────┼ config drive, 64 MiB ───────┼ backup GPT ┤

The head is written last, by `SealDisk`, so that a disk which is half-written or unverified cannot boot.
"""

from __future__ import annotations

from agent.errors import ImageTooLarge, SectorSizeMismatch, SignatureMissing
from agent.model import config_drive
from agent.model.config_drive import ConfigDrive, DriveImage
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.image import ImageFormat, ImagePolicy, ImageRef
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, Epilogue, NewTable, Partition, PlaceConfigDrive, Plan, SealDisk, WriteImage
from agent.model.request import DeployRequest
from agent.model.url import named
from agent.plan.array_root import besides_mirrors, bootable
from agent.plan.disk import disks_of, must_be_expendable, must_be_free, must_be_the_one_begun, select
from agent.plan.left import arrays_of

HOLD_BACK_BYTES = MIB
NO_POLICY = ImagePolicy()


def plan_deploy(
    inventory: Inventory,
    request: DeployRequest,
    spool: str,
    begun: tuple[DiskIdentity, ...] = (),
    policy: ImagePolicy = NO_POLICY,
) -> Plan:
    """`spool` is a directory for the held-back head; `begun` is what an interrupted run of this request wrote to;
    `policy` is what this machine holds about images.

    Raises `SelectionError`, `DiskInUse`, `DiskHoldsData`, `DiskChanged`, `ImageTooLarge`, `SectorSizeMismatch`.
    """
    disk = select(disks_of(inventory), request.root_device, request.skip, arrays_of(inventory))
    begun = besides_mirrors(inventory, begun)
    must_take_it(disk, request, begun)
    limit_bytes = image_limit(disk, request)
    added = drive_partition(disk) if request.config_drive else ()
    write = written(disk, request, spool, policy, limit_bytes=limit_bytes, added=added, resumed=bool(begun))
    plan = Plan(
        preconditions=(DiskMustBe(disk=disk.identity),),
        steps=(write, *placed(disk, request, added), sealed(write)),
        epilogue=Epilogue.REBOOT if request.reboot else None,
    )
    return bootable(inventory, disk, plan, request.skip)


def must_take_it(disk: Disk, request: DeployRequest, begun: tuple[DiskIdentity, ...]) -> None:
    """Raises `DiskInUse`, `DiskChanged`, `DiskHoldsData`, `DecodeError`, `SectorSizeMismatch`."""
    must_be_free(disk)
    must_be_the_one_begun(disk, begun)
    must_be_expendable(disk, overwrite=request.overwrite or bool(begun))
    must_suit(disk, request.config_drive)


def written(
    disk: Disk,
    request: DeployRequest,
    spool: str,
    policy: ImagePolicy,
    *,
    limit_bytes: int,
    added: tuple[Partition, ...],
    resumed: bool,
    table: NewTable | None = None,
) -> WriteImage:
    """The image, up to that byte of the disk: as a whole disk, or into the root of a new table. Raises
    `SignatureMissing`.
    """
    must_be_signable(request.image, policy)
    return WriteImage(
        disk=disk.identity,
        image=request.image.through(policy.cache),
        limit_bytes=limit_bytes,
        hold_back_bytes=HOLD_BACK_BYTES,
        head_path=f"{spool}/{request.request_id}.head",
        resumed=resumed,
        verify=request.verify,
        trusted_keys=policy.trusted_keys,
        add=added,
        table=table,
    )


def must_be_signable(image: ImageRef, policy: ImagePolicy) -> None:
    """Whether it is signed is seen when it is read; that it cannot be is known now. Raises `SignatureMissing`."""
    doing = f"planning to write {named(image.url)}"
    if policy.require_signature and not policy.trusted_keys:
        hint = "Give the public keys that may sign images: image_keys in agent.toml, or bms.image_keys at boot."
        raise SignatureMissing(doing, "a signature is required, and no key is trusted here", hint=hint)
    if policy.trusted_keys and image.format is not ImageFormat.CHUNKED:
        hint = "bms-agent image pack --sign KEY makes a signed one of it."
        raise SignatureMissing(doing, f"it is {image.format}, and only chunked images can be signed", hint=hint)


def sealed(write: WriteImage) -> SealDisk:
    """What was held back of it comes last."""
    return SealDisk(disk=write.disk, head_path=write.head_path, add=write.add)


def must_suit(disk: Disk, drive: ConfigDrive | DriveImage | None) -> None:
    """Raises `DecodeError`, and `SectorSizeMismatch` for a drive that could be read from no such disk."""
    if not isinstance(drive, DriveImage):
        return
    sector_bytes = disk.logical_sector_bytes
    if config_drive.is_iso9660(drive.content()) and sector_bytes > config_drive.ISO_SECTOR_BYTES:
        told = f"it is ISO 9660, which Linux mounts on no disk with sectors of {sector_bytes} bytes"
        raise SectorSizeMismatch(f"placing the config drive on {disk.identity}", told, hint="Make it as vfat.")


def drive_partition(disk: Disk) -> tuple[Partition, ...]:
    """Where the config drive goes."""
    offset = config_drive.offset_bytes(disk.size_bytes)
    return (Partition(label=config_drive.LABEL, offset_bytes=offset, size_bytes=config_drive.SIZE_BYTES),)


def placed(disk: Disk, request: DeployRequest, added: tuple[Partition, ...]) -> tuple[PlaceConfigDrive, ...]:
    """The step that fills it."""
    drive = request.config_drive
    if drive is None:
        return ()
    return tuple(PlaceConfigDrive(disk=disk.identity, drive=drive, **one.model_dump(exclude={"kind"})) for one in added)


def image_limit(disk: Disk, request: DeployRequest) -> int:
    """How far the image may reach. Raises `ImageTooLarge` if it is known to be longer."""
    with_drive = request.config_drive is not None
    limit = config_drive.offset_bytes(disk.size_bytes) if with_drive else disk.size_bytes - MIB
    size = request.image.size_bytes
    if limit <= HOLD_BACK_BYTES or (size is not None and size > limit):
        told = f"the image has {size or 'unknown'} bytes and may have {max(limit, 0)}"
        raise ImageTooLarge(f"fitting the image to {disk.identity}", told)
    return limit
