# SPDX-License-Identifier: Apache-2.0
"""What is never written to, and what stays though it is emptied: disks that are to be skipped, arrays, and the disks
that arrays stand on.

An array that is to be skipped keeps its disks as they are, partition tables and all. Its neighbours on these disks can
therefore not be taken down: they stay, and lose their content (ironic-python-agent's `_handle_raid_skip_list`).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from agent.errors import DiskInUse, HostError, NoDiskMatches
from agent.model.device_hints import SkipList
from agent.model.disk import Disk, Holder
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.plan import LeaveDisk
from agent.model.raid import ESP, RunningArray
from agent.plan.device_hints import judged
from agent.plan.disk import NAME, parts_named, wanted

ARRAYS_BY = {NAME, "name"}
"""What an array is skipped by: an entry about sizes is about disks, and must not spare what a tenant made of them."""
DOING = "looking for what is to stay"


class Kept(NamedTuple):
    """`left`: reported as left. `emptied`: arrays that stay. `rest`: disks that may be written as a whole."""

    left: tuple[LeaveDisk, ...]
    skipped: tuple[RunningArray, ...]
    emptied: tuple[RunningArray, ...]
    rest: tuple[Disk, ...]


def arrays_of(inventory: Inventory) -> tuple[RunningArray, ...]:
    """The arrays that run; raises `HostError` when they could not be read."""
    if isinstance(inventory.arrays, Unknown):
        raise HostError("reading the RAID arrays", inventory.arrays.unknown)
    return inventory.arrays


def keeping(inventory: Inventory, local: tuple[Disk, ...], skip: SkipList, stay: tuple[str, ...] = ()) -> Kept:
    """Sort local disks and arrays by what the request says: `stay` are names of arrays that are emptied where they are.
    Raises `HostError`, `DiskInUse`, `NoDiskMatches`.
    """
    arrays = based(arrays_of(inventory), local)
    skipping = to_be_left(arrays, tuple(entry for entry in skip if ARRAYS_BY & entry.specs.keys()))
    skipped = tuple(one for one in arrays if one.identity in {step.disk for step in skipping})
    named = tuple(one for one in arrays if one not in skipped and name_of(one, must=bool(stay)) in stay)
    must_run(stay, (*skipped, *named), arrays)
    staying = with_neighbours(arrays, skipped, named, local)
    own = to_be_left(local, skip)
    left = {step.disk: step for step in (*own, *parts_of_skipped(local, skip), *skipping)}
    for one in staying:
        for disk in under(one, local):
            why = f"under the array {known(one.volume_name) or one.name}, which stays"
            left.setdefault(disk.identity, LeaveDisk(disk=disk.identity, why=why))
    emptied = tuple(one for one in staying if one not in skipped)
    must_stand_on_none_of(own, emptied, local)
    must_hold_nothing_else(local, skipped, emptied)
    return Kept(tuple(left.values()), skipped, emptied, tuple(disk for disk in local if disk.identity not in left))


def to_be_left(disks: tuple[Disk, ...], skip: SkipList) -> tuple[LeaveDisk, ...]:
    """The disks that the request says are never written to. Raises `HostError` where that cannot be told of one: to
    erase it could be its loss, and to pass it over would leave a tenant's data.
    """
    left: dict[str, LeaveDisk] = {}
    for disk in disks:
        for entry in skip:
            verdict = judged(disk, entry)
            if verdict.in_doubt:
                raise HostError(
                    f"judging whether {disk.identity} is to be skipped by {wanted(entry)}", ", ".join(verdict.unknown)
                )
            if verdict.fits:
                left.setdefault(disk.path, LeaveDisk(disk=disk.identity, why=f"to be skipped by {wanted(entry)}"))
    return tuple(left.values())


def parts_of_skipped(disks: tuple[Disk, ...], skip: SkipList) -> tuple[LeaveDisk, ...]:
    """Disks with a part of an array that is to be skipped, be it assembled or not. Raises `HostError` where it cannot
    be told what a disk holds.
    """
    left = []
    for disk, entry in product(disks, skip):
        match parts_named(disk, entry):
            case Unknown() as doubt:
                raise HostError(f"judging whether {disk.identity} is a part of an array to be skipped", str(doubt))
            case (name, *_):
                why = f"a part of {name}, to be skipped by {wanted(entry)}"
                left.append(LeaveDisk(disk=disk.identity, why=why))
    return tuple(left)


def name_of(array: RunningArray, *, must: bool) -> str | None:
    """Its name. Raises `HostError` where it is not known and something depends on it."""
    if must and isinstance(array.volume_name, Unknown):
        raise HostError(f"looking for the name of {array.identity}", array.volume_name.unknown)
    return known(array.volume_name)


def must_run(stay: tuple[str, ...], found: tuple[RunningArray, ...], arrays: tuple[RunningArray, ...]) -> None:
    """Raises `NoDiskMatches` for an array that should be there and is not: its disks would be taken for free ones."""
    missing = [name for name in stay if name not in {known(one.volume_name) for one in found}]
    if missing:
        there = ", ".join(f"{known(one.volume_name)} ({one.name})" for one in arrays) or "none"
        hint = "Delete the node's arrays, and make them anew."
        raise NoDiskMatches(DOING, f"no array {', '.join(missing)} runs; there is {there}", hint=hint)


def based(arrays: tuple[RunningArray, ...], disks: tuple[Disk, ...]) -> tuple[RunningArray, ...]:
    """Those that stand on disks and partitions, not on other arrays or volumes."""
    names = {name for disk in disks for name in (disk.name, *(part.name for part in disk.partitions))}
    return tuple(one for one in arrays if one.members and set(one.members) <= names)


def under(array: RunningArray, disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
    """The disks that it stands on."""
    return tuple(disk for disk in disks if {disk.name, *(part.name for part in disk.partitions)} & set(array.members))


def with_neighbours(
    arrays: tuple[RunningArray, ...],
    skipped: tuple[RunningArray, ...],
    named: tuple[RunningArray, ...],
    disks: tuple[Disk, ...],
) -> tuple[RunningArray, ...]:
    """What is skipped or named, and what stands on the same disks: neighbours of what is skipped, and the mirror of EFI
    system partitions. Raises `DiskInUse` for a neighbour that nobody knows of.
    """
    found = {one.name: one for one in (*skipped, *named)}
    while True:
        taken = {disk.name for one in found.values() for disk in under(one, disks)}
        beside = [one for one in arrays if one.name not in found and {disk.name for disk in under(one, disks)} & taken]
        if not beside:
            return tuple(one for one in arrays if one.name in found)
        for one in beside:
            if not skipped and known(one.volume_name) != ESP:
                told = f"{one.name} ({known(one.volume_name)}) stands on disks of arrays that stay, and is none of them"
                raise DiskInUse(DOING, told, hint="Delete the node's arrays, and make them anew.")
            found[one.name] = one


def must_stand_on_none_of(
    skipped: tuple[LeaveDisk, ...], emptied: tuple[RunningArray, ...], disks: tuple[Disk, ...]
) -> None:
    """To empty an array is to write to its disks. Raises `DiskInUse` where one of them is itself to be skipped."""
    why = {step.disk: step.why for step in skipped}
    for one in emptied:
        found = [f"{disk.path}, {why[disk.identity]}" for disk in under(one, disks) if disk.identity in why]
        if found:
            raise DiskInUse(f"preparing {one.identity}", f"it stands on {'; '.join(found)}",
                            hint="Skip the array, too, by its volume_name; or do not skip its disks.")  # fmt: skip


def must_hold_nothing_else(
    disks: tuple[Disk, ...], skipped: tuple[RunningArray, ...], emptied: tuple[RunningArray, ...]
) -> None:
    """Beside arrays that are emptied there must be nothing on their disks, or it would be passed over in silence.
    Raises `DiskInUse`. Beside an array that is skipped there may be whatever there is.
    """
    beside_skipped = {disk.name for one in skipped for disk in under(one, disks)}
    members = {name for one in (*skipped, *emptied) for name in one.members}
    for disk in dict.fromkeys(disk for one in emptied for disk in under(one, disks)):
        if disk.name in beside_skipped:
            continue
        if isinstance(disk.contents, Unknown):
            raise HostError(f"judging what {disk.identity} holds beside its arrays", disk.contents.unknown)
        other = [f"{one.kind} on {one.node}" for one in disk.contents if other_content(disk, one.node, members)]
        other += [str(one) for one in disk.holders if not is_above(one, disk.holders, {*members}, emptied)]
        if other:
            raise DiskInUse(f"preparing {disk.identity}", f"beside its arrays it holds {', '.join(other)}",
                            hint="Delete the node's arrays: then its disks are erased as a whole.")  # fmt: skip


def other_content(disk: Disk, node: str, members: set[str]) -> bool:
    """Whether it is neither the disk's partition table nor a part of an array."""
    return node != disk.path and node.removeprefix("/dev/") not in members


def is_above(one: Holder, holders: tuple[Holder, ...], members: set[str], emptied: tuple[RunningArray, ...]) -> bool:
    """Whether a holder is one of these arrays, or stands on them and nothing else."""
    if one.kind == "md" and set(one.on) <= members:
        return True
    parts = {array.name for array in emptied} | {part.name for array in emptied for part in array.partitions}
    above = {each.name: each for each in holders}
    return all(name in parts or (name in above and is_above(above[name], holders, members, emptied)) for name in one.on)
