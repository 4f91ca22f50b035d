# SPDX-License-Identifier: Apache-2.0
"""An array as the disk that the machine boots from. Firmware cannot read it: what it starts lies in a mirror of EFI
system partitions, of which each disk under the array has one (`raid.create`, or ironic-python-agent, makes it).

    sda   esp ┐ /dev/md1, metadata 1.0      root ┐ /dev/md0, metadata 1.2: table, image's ESP, image's root …
    sdb   esp ┘ what firmware starts        root ┘

The mirror is emptied before the image is written, and filled when all of the image is there: until then nothing boots.
"""

from __future__ import annotations

from agent.errors import HostError, NothingToBoot
from agent.model.device_hints import SkipList
from agent.model.disk import Disk, DiskIdentity, DiskPartition
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, MirrorLoader, Plan, Step, WipeMetadata, WriteImage
from agent.model.raid import ESP, RunningArray
from agent.model.system import FirmwareMode
from agent.plan.disk import disks_of, must_be_free, skip_reasons
from agent.plan.erase import must_be_whole
from agent.plan.left import arrays_of, under
from agent.plan.metadata import wipe


def bootable(inventory: Inventory, disk: Disk, plan: Plan, skip: SkipList) -> Plan:
    """The same plan; for an array with what lets firmware boot it. Raises `NothingToBoot`, `ArrayNotWhole`,
    `DiskInUse`.
    """
    if not isinstance(disk, RunningArray):
        return plan
    must_be_uefi(inventory, disk)
    must_be_whole(disk)
    mirror = mirror_of(inventory, disk)
    if reasons := skip_reasons(mirror, skip, disks_of(inventory)):
        raise NothingToBoot(f"planning to boot {disk.identity}", f"{mirror.path} {'; '.join(reasons)}")
    must_be_whole(mirror)
    must_be_free(mirror)
    steps = (
        WipeMetadata(wipes=(wipe(mirror),)),
        *(with_room(step, mirror.size_bytes) for step in plan.steps),
        MirrorLoader(disk=disk.identity, to=mirror.identity),
    )
    pins = (*plan.preconditions, DiskMustBe(disk=mirror.identity))
    return plan.model_copy(update={"preconditions": pins, "steps": steps})


def with_room(step: Step, size_bytes: int) -> Step:
    """An image whose EFI system partition is larger than the mirror is refused before it is written."""
    return step.model_copy(update={"esp_limit_bytes": size_bytes}) if isinstance(step, WriteImage) else step


def besides_mirrors(inventory: Inventory, begun: tuple[DiskIdentity, ...]) -> tuple[DiskIdentity, ...]:
    """Of the disks that a deploy has begun, that which the image goes to."""
    mirrors = {one.identity.bearer for one in arrays_of(inventory) if known(one.volume_name) == ESP}
    return tuple(one for one in begun if one.bearer not in mirrors)


def must_be_uefi(inventory: Inventory, array: RunningArray) -> None:
    """Raises `NothingToBoot`: a BIOS starts boot code at absolute places of a disk, and an array's are others."""
    doing = f"planning to boot {array.identity}"
    if isinstance(inventory.system, Unknown):
        raise HostError(doing, inventory.system.unknown)
    if inventory.system.firmware_mode is not FirmwareMode.UEFI:
        told = "this machine was booted by a BIOS, which cannot boot an array without running the image's own tools"
        raise NothingToBoot(doing, told, hint="Set the machine to UEFI, or deploy to a single disk.")


def mirror_of(inventory: Inventory, array: RunningArray) -> RunningArray:
    """The mirror of EFI system partitions on the disks under an array. Raises `NothingToBoot`."""
    disks = disks_of(inventory)
    below = {disk.name for disk in under(array, disks)}
    mirrors = [one for one in arrays_of(inventory) if known(one.volume_name) == ESP and one.level == "raid1"]
    for one in mirrors:
        if below and below <= {disk.name for disk in under(one, disks)}:
            return one
    told = f"no mirror '{ESP}' of EFI system partitions is on {', '.join(sorted(below)) or 'its disks'}"
    hint = "Delete the arrays and make them anew: the mirror is made with them."
    raise NothingToBoot(f"planning to boot {array.identity}", told, hint=hint)


def disks_of_mirror(inventory: Inventory, array: RunningArray) -> tuple[tuple[Disk, DiskPartition], ...]:
    """Each disk with its part of the mirror beside an array, in the order of firmware's menus: by path."""
    mirror = mirror_of(inventory, array)
    found = [(disk, part) for disk in disks_of(inventory) for part in disk.partitions if part.name in mirror.members]
    return tuple(sorted(found, key=lambda one: one[0].path))
