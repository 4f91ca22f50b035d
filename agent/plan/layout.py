# SPDX-License-Identifier: Apache-2.0
"""Planning `image.deploy` of a partition image: where each partition lies, and what it is filled with, by whom.

    0      1 MiB      551 MiB                                                      size − 1 MiB
    ├ head ┼ ESP ─────┼ ephemeral ┼ swap ┼ config drive ┼ root ──────────┼ free ───┼ backup GPT ┤

The order is ironic-python-agent's: root is the last, so that it can grow, and what lies before the ephemeral partition
has always the same size, so that a later image finds it where it was. The head, with the new table, is written last.
"""

from __future__ import annotations

from agent.errors import ImageTooLarge, InputError, NothingToBoot, PartitionTableError
from agent.model import config_drive
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.frozen import Frozen
from agent.model.image import ImageFormat, ImagePolicy
from agent.model.layout import EPHEMERAL, ESP, ROOT, SWAP, Layout, guid_of
from agent.model.plan import (
    DiskMustBe,
    Epilogue,
    InstallLoader,
    MakeFilesystem,
    NewTable,
    Partition,
    Plan,
)
from agent.model.request import DeployRequest
from agent.plan.image import NO_POLICY, must_take_it, placed, sealed, written

FIRST_BYTE = MIB
WHOLE_DISK = "Use a whole-disk image, or boot this machine by UEFI (Ironic: capability boot_mode:uefi)."


class Seen(Frozen):
    """Of the machine and of the disk that is meant, beside its inventory.

    architecture   whose programs the firmware starts; `None`: a BIOS booted this machine
    partitions     (offset, size) of those that the disk's table has now, or had until a deploy was interrupted
    """

    architecture: str | None
    partitions: tuple[tuple[int, int], ...] = ()


def plan_layout(
    disk: Disk,
    seen: Seen,
    request: DeployRequest,
    spool: str,
    begun: tuple[DiskIdentity, ...] = (),
    policy: ImagePolicy = NO_POLICY,
) -> Plan:
    """As `plan_deploy`, for a request with a layout. Raises as that does, and `NothingToBoot`, `PartitionTableError`,
    `InputError`.
    """
    layout = request.layout
    if layout is None:
        raise InputError("planning the partitions", "the request has no layout")
    architecture = must_boot_by_uefi(seen)
    must_be_streamed(request)
    must_take_it(disk, request, begun)
    parts = laid_out(disk, layout, with_drive=request.config_drive is not None)
    must_hold_the_image(parts[ROOT], request)
    kept = parts[EPHEMERAL] if layout.preserve_ephemeral else None
    if kept is not None:
        must_be_there(kept, seen.partitions, disk)
    guid = guid_of(request.request_id, str(disk.identity))
    added = tuple(parts.values())
    write = written(
        disk,
        request,
        spool,
        policy,
        limit_bytes=parts[ROOT].end_bytes,
        added=added,
        resumed=bool(begun),
        table=NewTable(guid=guid, root=parts[ROOT], kept=kept),
    )
    loader = InstallLoader(
        disk=disk.identity,
        esp=parts[ESP],
        root=parts[ROOT],
        architecture=architecture,
        volume_id=guid_of(guid, ESP)[:8],
    )
    drive = tuple(one for one in added if one.label == config_drive.LABEL)
    return Plan(
        preconditions=(DiskMustBe(disk=disk.identity),),
        steps=(
            write,
            loader,
            *filesystems(disk.identity, layout, parts, guid),
            *placed(disk, request, drive),
            sealed(write),
        ),
        epilogue=Epilogue.REBOOT if request.reboot else None,
    )


def must_boot_by_uefi(seen: Seen) -> str:
    """The architecture. Raises `NothingToBoot`: a BIOS wants GRUB installed for this very disk, by a program of the
    image's, and none of those is run here.
    """
    if seen.architecture is None:
        told = "a BIOS booted this machine, and a partition image has nothing that one could start"
        raise NothingToBoot("planning the partitions", told, hint=WHOLE_DISK)
    return seen.architecture


def must_be_streamed(request: DeployRequest) -> None:
    """Raises `InputError` for a chunked image, which is one of a whole disk."""
    if request.image.format is ImageFormat.CHUNKED:
        told = "a chunked image is one of a whole disk; a partition image is raw, packed or not, or QCOW2"
        raise InputError("planning the partitions", told)


def laid_out(disk: Disk, layout: Layout, *, with_drive: bool) -> dict[str, Partition]:
    """By their names, in order. Raises `ImageTooLarge` if they have no room."""
    wanted = [
        Partition(label=ESP, offset_bytes=0, size_bytes=layout.esp_mib * MIB, kind="esp"),
        Partition(label=EPHEMERAL, offset_bytes=0, size_bytes=layout.ephemeral_mib * MIB, kind="linux"),
        Partition(label=SWAP, offset_bytes=0, size_bytes=layout.swap_mib * MIB, kind="swap"),
        Partition(label=config_drive.LABEL, offset_bytes=0, size_bytes=config_drive.SIZE_BYTES * with_drive),
        Partition(label=ROOT, offset_bytes=0, size_bytes=layout.root_mib * MIB, kind="linux"),
    ]
    found, end = {}, FIRST_BYTE
    for one in wanted:
        if one.size_bytes:
            found[one.label] = one.model_copy(update={"offset_bytes": end})
            end += one.size_bytes
    if end > disk.size_bytes - MIB:
        sizes = ", ".join(f"{one.label} {one.size_bytes // MIB}" for one in found.values())
        told = f"they need {end // MIB + 1} MiB ({sizes}), the disk has {disk.size_bytes // MIB}"
        raise ImageTooLarge(f"fitting the partitions to {disk.identity}", told, hint="Make root smaller, or what else.")
    return found


def must_hold_the_image(root: Partition, request: DeployRequest) -> None:
    """Raises `ImageTooLarge` where the image is known to be larger than root."""
    size = request.image.size_bytes
    if size is not None and size > root.size_bytes:
        told = f"the image has {size} bytes and root {root.size_bytes}"
        raise ImageTooLarge("fitting the image to its partition", told, hint="Make root larger.")


def must_be_there(kept: Partition, partitions: tuple[tuple[int, int], ...], disk: Disk) -> None:
    """Raises `PartitionTableError` unless the disk has a partition of exactly that place and size."""
    if (kept.offset_bytes, kept.size_bytes) in partitions:
        return
    seen = ", ".join(f"{size // MIB} MiB at byte {at}" for at, size in partitions) or "none"
    told = f"it should be {kept.size_bytes // MIB} MiB at byte {kept.offset_bytes}; partitions on the disk: {seen}"
    raise PartitionTableError(
        f"preserving the ephemeral partition of {disk.identity}",
        told,
        hint="Ask for the size that it has; or deploy without preserve_ephemeral, and all in it is lost.",
    )


def filesystems(
    disk: DiskIdentity, layout: Layout, parts: dict[str, Partition], guid: str
) -> tuple[MakeFilesystem, ...]:
    """What is made empty. What is preserved is not among it."""
    made = []
    if SWAP in parts:
        made.append(MakeFilesystem(disk=disk, partition=parts[SWAP], filesystem="swap", uuid=guid_of(guid, SWAP)))
    if EPHEMERAL in parts and not layout.preserve_ephemeral:
        uuid = guid_of(guid, EPHEMERAL)
        one = MakeFilesystem(disk=disk, partition=parts[EPHEMERAL], filesystem=layout.ephemeral_format, uuid=uuid)
        made.append(one)
    return tuple(made)
