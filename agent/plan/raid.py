# SPDX-License-Identifier: Apache-2.0
"""Planning `raid.create` and `raid.delete`: which partition of which disk goes into which array.

Every disk of an array gets a GPT with the same partition for it. In front there is room for an EFI system partition, as
ironic-python-agent leaves it. The rules are its rules, too: the first array is a mirror, at most one takes what is
left.
"""

from __future__ import annotations

from agent.errors import ImageTooLarge, InputError, NoDiskMatches
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.plan import Array, BuildRaid, DiskMustBe, DiskTable, LeaveDisk, Partition, Plan, Step, WipeMetadata
from agent.model.raid import LEAST_DISKS, LogicalDisk, share_bytes
from agent.model.request import CreateRaidRequest, DeleteRaidRequest
from agent.plan.device_hints import in_order, judged
from agent.plan.disk import disks_of, must_be_expendable, must_be_free, wanted
from agent.plan.erase import is_local, must_all_be_there, must_be_writable, to_be_left
from agent.plan.holders import stops
from agent.plan.metadata import wipe

GIB = 1024**3
FRONT_BYTES = 551 * MIB
DOING = "planning the arrays"


def plan_create_raid(inventory: Inventory, request: CreateRaidRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """One step: tables, then arrays. Raises `InputError`, `NoDiskMatches`, `DiskHoldsData`, `DiskInUse` …"""
    must_be_sound(request.logical_disks)
    local, left = not_left(inventory, request)
    members = {place: members_of(one, local) for place, one in enumerate(request.logical_disks)}
    used = tuple(disk for disk in local if any(disk in disks for disks in members.values()))
    must_all_be_there(used, begun)
    must_be_writable(used)
    stopping = stops(used) if begun else ()
    for disk in used:
        if not begun:
            must_be_free(disk)
        must_be_expendable(disk, overwrite=request.overwrite or bool(begun))
    step = BuildRaid(tables=tables(request.logical_disks, members, used), arrays=arrays(request.logical_disks, members))
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in used)
    return Plan(preconditions=pins, steps=(*left, *stopping, step))


def plan_delete_raid(inventory: Inventory, request: DeleteRaidRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """Every array is taken down, and the disks that held one are wiped of what says so, partition tables included."""
    local, left = not_left(inventory, request)
    chosen = tuple(disk for disk in local if holds_an_array(disk) or disk.identity in begun)
    must_all_be_there(chosen, begun)
    must_be_writable(chosen)
    stopping = stops(chosen)
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in chosen)
    wiping: tuple[Step, ...] = (WipeMetadata(wipes=tuple(wipe(disk) for disk in chosen)),) if chosen else ()
    return Plan(preconditions=pins, steps=(*left, *stopping, *wiping))


def not_left(
    inventory: Inventory, request: CreateRaidRequest | DeleteRaidRequest
) -> tuple[tuple[Disk, ...], tuple[LeaveDisk, ...]]:
    """The local disks, and those of them that are never written to."""
    local = tuple(disk for disk in disks_of(inventory) if is_local(disk))
    left = to_be_left(local, request.skip)
    return tuple(disk for disk in local if disk.identity not in {step.disk for step in left}), left


def holds_an_array(disk: Disk) -> bool:
    """Or a part of one, be it assembled or not. What is not known could be one."""
    if isinstance(disk.contents, Unknown):
        return True
    return any(one.kind == "md" for one in disk.holders) or any(
        found.kind == "linux_raid_member" for found in disk.contents
    )


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


def tables(
    logical: tuple[LogicalDisk, ...], members: dict[int, tuple[Disk, ...]], used: tuple[Disk, ...]
) -> tuple[DiskTable, ...]:
    """A table for each disk; partitions stand in the order of their arrays, and have the same size on every disk.

    Raises `ImageTooLarge` where they do not fit.
    """
    ends = {disk.path: FRONT_BYTES for disk in used}
    sizes = {
        place: up(share_bytes(one.raid_level, one.size_gb * GIB, len(members[place])))
        for place, one in enumerate(logical)
        if one.size_gb != "MAX"
    }
    for place, disks in members.items():
        if place not in sizes:
            sizes[place] = min(room(disk) - taken(disk, sizes, members) for disk in disks)
    parts: dict[str, list[Partition]] = {disk.path: [] for disk in used}
    for place, disks in members.items():
        for disk in disks:
            part = Partition(label=f"md{place}", offset_bytes=ends[disk.path], size_bytes=sizes[place])
            ends[disk.path] += sizes[place]
            parts[disk.path].append(part)
            if sizes[place] < MIB or ends[disk.path] > FRONT_BYTES + room(disk):
                raise ImageTooLarge(DOING, f"the arrays do not fit on {disk.identity}")
    return tuple(DiskTable(disk=disk.identity, partitions=tuple(parts[disk.path])) for disk in used)


def room(disk: Disk) -> int:
    """For all partitions of a disk: between the room in front and the backup table, in whole MiB."""
    return disk.size_bytes // MIB * MIB - MIB - FRONT_BYTES


def taken(disk: Disk, sizes: dict[int, int], members: dict[int, tuple[Disk, ...]]) -> int:
    """By arrays whose size is known."""
    return sum(size for place, size in sizes.items() if disk in members[place])


def up(size_bytes: int) -> int:
    """To whole MiB, with one for the superblock and what md keeps beside it (data begins up to 128 MiB in)."""
    return -(-size_bytes // MIB) * MIB + 128 * MIB


def arrays(logical: tuple[LogicalDisk, ...], members: dict[int, tuple[Disk, ...]]) -> tuple[Array, ...]:
    """Each with its partitions, by their nodes."""
    count: dict[str, int] = {}
    made = []
    for place, one in enumerate(logical):
        nodes = []
        for disk in members[place]:
            count[disk.path] = count.get(disk.path, 0) + 1
            nodes.append(partition_node(disk.path, count[disk.path]))
        made.append(
            Array(
                node=f"/dev/md{place}", level=one.raid_level, name=one.volume_name or f"md{place}", members=tuple(nodes)
            )
        )
    return tuple(made)


def partition_node(disk: str, number: int) -> str:
    """As the kernel names it: sda1, nvme0n1p1."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"
