# SPDX-License-Identifier: Apache-2.0
"""Planning `raid.create` and `raid.delete`: which partition of which disk goes into which array.

Every disk of an array gets a GPT with the same partition for it. In front there is room for an EFI system partition, as
ironic-python-agent leaves it; of the array that the machine boots from these are made, and mirrored, too. The rules are
its rules: the first array is a mirror, at most one takes what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from agent.errors import HostError, ImageTooLarge, InputError, NoDiskMatches
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.plan import Array, BuildRaid, DiskMustBe, DiskTable, Partition, Plan, Step, WipeMetadata
from agent.model.raid import ESP, LEAST_DISKS, MD_LEVEL, LogicalDisk, RunningArray, share_bytes
from agent.model.request import CreateRaidRequest, DeleteRaidRequest
from agent.plan.device_hints import in_order, judged
from agent.plan.disk import disks_of, must_be_expendable, must_be_free, wanted
from agent.plan.erase import is_local, must_all_be_there, must_be_writable
from agent.plan.guard import must_not_be_shared
from agent.plan.holders import stops
from agent.plan.left import arrays_of, keeping
from agent.plan.metadata import wipe

GIB = 1024**3
FRONT_BYTES = 556 * MIB
"""5 MiB more than ironic-python-agent's: its EFI system partition of 550 fits into the mirror with its superblock."""
ESP_PARTITION = Partition(label=ESP, offset_bytes=MIB, size_bytes=FRONT_BYTES - MIB, kind="esp")
DOING = "planning the arrays"


def plan_create_raid(inventory: Inventory, request: CreateRaidRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """One step: tables, then arrays. An array that is to be skipped, and is there, is not made; nor are those that
    stand beside it. Raises `InputError`, `NoDiskMatches`, `DiskHoldsData`, `DiskInUse`, `DiskShared` …
    """
    must_be_sound(request.logical_disks)
    kept = keeping(inventory, local_disks(inventory), request.skip)
    missing = to_be_made(request.logical_disks, (*kept.skipped, *kept.emptied))
    if not missing:
        return Plan(steps=kept.left)
    members = {place: members_of(one, kept.rest) for place, one in missing.items()}
    used = tuple(disk for disk in kept.rest if any(disk in disks for disks in members.values()))
    must_all_be_there(used, begun)
    must_be_writable(used)
    stopping = stops(used) if begun else ()
    for disk in used:
        if not begun:
            must_be_free(disk)
        must_be_expendable(disk, overwrite=request.overwrite or bool(begun))
    must_not_be_shared(used, allowed=bool(begun))
    booting = members.get(root_of(request.logical_disks), ())
    step = laid_out(missing, members, used, booting, free_names(inventory, used))
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in used)
    return Plan(preconditions=pins, steps=(*kept.left, *stopping, step))


def plan_delete_raid(inventory: Inventory, request: DeleteRaidRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """Every array is taken down, and the disks that held one are wiped of what says so, partition tables included. What
    stands beside an array that is to be skipped stays, and loses its content. Raises `HostError` where it is not known.
    """
    kept = keeping(inventory, local_disks(inventory), request.skip)
    bearing = tuple(disk for disk in kept.rest if disk.identity in begun or holds_an_array(disk))
    chosen = (*bearing, *kept.emptied)
    must_all_be_there(chosen, begun)
    must_be_writable(chosen)
    stopping = stops(chosen)
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in chosen)
    wiping: tuple[Step, ...] = (WipeMetadata(wipes=tuple(wipe(disk) for disk in chosen)),) if chosen else ()
    return Plan(preconditions=pins, steps=(*kept.left, *stopping, *wiping))


def local_disks(inventory: Inventory) -> tuple[Disk, ...]:
    """Arrays are made of these."""
    return tuple(disk for disk in disks_of(inventory) if is_local(disk))


def to_be_made(logical: tuple[LogicalDisk, ...], there: tuple[RunningArray, ...]) -> dict[int, LogicalDisk]:
    """By place, those that are not there. Raises `InputError` for one that is there, and is another."""
    levels = {known(one.volume_name): one.level for one in there}
    for place, one in enumerate(logical):
        have = levels.get(one.name(place))
        if have is not None and have != MD_LEVEL[one.raid_level]:
            raise InputError(DOING, f"{one.name(place)} stays, and is {have}, not {MD_LEVEL[one.raid_level]}")
    return {place: one for place, one in enumerate(logical) if one.name(place) not in levels}


def free_names(inventory: Inventory, used: tuple[Disk, ...]) -> Iterator[str]:
    """Nodes for arrays, the lowest first. What stands on these disks is taken down before."""
    ours = {one.name for disk in used for one in disk.holders}
    taken = {one.name for one in arrays_of(inventory)} - ours
    return (f"/dev/md{number}" for number in count() if f"md{number}" not in taken)


def holds_an_array(disk: Disk) -> bool:
    """Or a part of one, be it assembled or not. Raises `HostError` where that is not known: what is no part of an array
    is not wiped.
    """
    if any(one.kind == "md" for one in disk.holders):
        return True
    if isinstance(disk.contents, Unknown):
        hint = "Ask again once udev answers; or skip the disk, by its serial."
        raise HostError(f"looking for arrays on {disk.identity}", disk.contents.unknown, hint=hint)
    return any(found.kind == "linux_raid_member" for found in disk.contents)


def must_be_sound(logical: tuple[LogicalDisk, ...]) -> None:
    """Raises `InputError` for what could be made of no disks."""
    if logical[0].raid_level != "1":
        raise InputError(DOING, "the first array must be a mirror (raid_level 1): machines boot from it")
    if sum(one.size_gb == "MAX" for one in logical) > 1:
        raise InputError(DOING, "only one array can take what is left (size_gb MAX)")
    names = [one.volume_name for one in logical if one.volume_name]
    if len(set(names)) < len(names):
        raise InputError(DOING, "two arrays have the same volume_name")
    if sum(one.is_root_volume for one in logical) > 1:
        raise InputError(DOING, "two arrays are the root volume")


def members_of(one: LogicalDisk, local: tuple[Disk, ...]) -> tuple[Disk, ...]:
    """The disks of an array. Raises `NoDiskMatches`, `InputError`."""
    chosen: list[Disk] = [] if one.physical_disks else list(local)
    for hints in one.physical_disks:
        fitting = [disk for disk in in_order(local) if disk not in chosen and judged(disk, hints).fits]
        if not fitting:
            raise NoDiskMatches(DOING, f"no disk that is not taken fits {wanted(hints)}")
        chosen.append(fitting[0])
    if len(chosen) < LEAST_DISKS[one.raid_level]:
        told = f"RAID {one.raid_level} needs {LEAST_DISKS[one.raid_level]} disks and has {len(chosen)}"
        raise InputError(DOING, told)
    return tuple(chosen)


def laid_out(
    logical: dict[int, LogicalDisk],
    members: dict[int, tuple[Disk, ...]],
    used: tuple[Disk, ...],
    booting: tuple[Disk, ...],
    names: Iterator[str],
) -> BuildRaid:
    """Tables and arrays. The disks that the machine boots from get an EFI system partition each, in front, and a mirror
    of these: whichever disk is lost, the firmware finds the others'.
    """
    parts = {disk.path: [ESP_PARTITION] if disk in booting else [] for disk in used}
    sizes = sizes_of(logical, members)
    made: dict[int, list[str]] = {place: [] for place in logical}
    for place, disks in members.items():
        for disk in disks:
            start = parts[disk.path][-1].end_bytes if parts[disk.path] else FRONT_BYTES
            parts[disk.path].append(Partition(label=f"md{place}", offset_bytes=start, size_bytes=sizes[place]))
            made[place].append(partition_node(disk.path, len(parts[disk.path])))
            if sizes[place] < MIB or parts[disk.path][-1].end_bytes > FRONT_BYTES + room(disk):
                raise ImageTooLarge(DOING, f"the arrays do not fit on {disk.identity}")
    arrays = [
        Array(node=next(names), level=one.raid_level, name=one.name(place), members=tuple(made[place]))
        for place, one in logical.items()
    ]
    if booting:
        mirrored = tuple(partition_node(disk.path, 1) for disk in booting)
        arrays.append(Array(node=next(names), level="1", name=ESP, members=mirrored, metadata="1.0"))
    tables = tuple(DiskTable(disk=disk.identity, partitions=tuple(parts[disk.path])) for disk in used)
    return BuildRaid(tables=tables, arrays=tuple(arrays))


def root_of(logical: tuple[LogicalDisk, ...]) -> int:
    """The place of the array that the machine boots from."""
    return next((place for place, one in enumerate(logical) if one.is_root_volume), 0)


def sizes_of(logical: dict[int, LogicalDisk], members: dict[int, tuple[Disk, ...]]) -> dict[int, int]:
    """What each array takes of each of its disks; one of them takes what is left."""
    sizes = {
        place: up(share_bytes(one.raid_level, one.size_gb * GIB, len(members[place])))
        for place, one in logical.items()
        if one.size_gb != "MAX"
    }
    for place, disks in members.items():
        if place not in sizes:
            sizes[place] = min(room(disk) - taken(disk, sizes, members) for disk in disks)
    return sizes


def room(disk: Disk) -> int:
    """For all partitions of a disk: between the room in front and the backup table, in whole MiB."""
    return disk.size_bytes // MIB * MIB - MIB - FRONT_BYTES


def taken(disk: Disk, sizes: dict[int, int], members: dict[int, tuple[Disk, ...]]) -> int:
    """By arrays whose size is known."""
    return sum(size for place, size in sizes.items() if disk in members[place])


def up(size_bytes: int) -> int:
    """To whole MiB, with one for the superblock and what md keeps beside it (data begins up to 128 MiB in)."""
    return -(-size_bytes // MIB) * MIB + 128 * MIB


def partition_node(disk: str, number: int) -> str:
    """As the kernel names it: sda1, nvme0n1p1."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"
