# SPDX-License-Identifier: Apache-2.0
"""Planning `disk.erase`: which disks, and where each is read back to prove it."""

from __future__ import annotations

from agent.errors import (
    ArrayNotWhole,
    DiskChanged,
    DiskReadOnly,
    NoDiskMatches,
    SelectionError,
    SeveralDisksMatch,
)
from agent.model.device_hints import SkipList
from agent.model.disk import Disk, DiskIdentity
from agent.model.erasing import Abilities
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, EraseDisks, LeaveDisk, Plan, Step, WipeMetadata, by_disk
from agent.model.raid import RunningArray
from agent.model.request import EraseMethod, EraseRequest
from agent.plan.disk import disks_of
from agent.plan.erasing import Able, erasure, hides
from agent.plan.guard import must_not_be_shared
from agent.plan.holders import stops
from agent.plan.left import keeping, to_be_left
from agent.plan.metadata import wipe

NOTHING_SAID: Able = {}


def plan_erase(
    inventory: Inventory,
    request: EraseRequest,
    begun: tuple[DiskIdentity, ...] = (),
    able: Able = NOTHING_SAID,
) -> Plan:
    """What stands on the disks is taken down, then they are erased; an array that is to stay is erased in their place.
    Removable and remote disks are no local disks; of the others none is passed over in silence, since the node counts
    as erased afterwards. What an interrupted run has `begun` must all be there still. `able` is by node.

    Raises `NoDiskMatches`, `SeveralDisksMatch`, `DiskChanged`, `DiskReadOnly`, `DiskInUse`, `ArrayNotWhole`.
    """
    local = tuple(disk for disk in disks_of(inventory) if is_local(disk))
    must_be_those_ordered(local, request.disks, grown=request.show_hidden)
    meant = local if request.serials is None else named(local, request.serials)
    if request.strict:
        must_be_skipped(tuple(disk for disk in disks_of(inventory) if not is_local(disk)), request.skip)
    kept = keeping(inventory, local, request.skip, request.keep_arrays)
    for one in kept.emptied:
        must_be_whole(one)
    left = tuple(step for step in kept.left if request.serials is None or step.disk in {one.identity for one in meant})
    candidates = tuple(disk for disk in kept.rest if disk in meant) + (kept.emptied if request.serials is None else ())
    if request.leave_read_only:
        left += tuple(LeaveDisk(disk=disk.identity, why="read-only") for disk in candidates if disk.read_only)
    chosen = tuple(disk for disk in candidates if disk.identity not in {step.disk for step in left})
    must_all_be_there(chosen, begun)
    dead = tuple(disk for disk in chosen if disk.read_only) if request.quarantine else ()
    chosen = tuple(disk for disk in chosen if disk not in dead) or chosen
    must_be_writable(chosen)
    must_not_be_shared(chosen, allowed=request.shared_too or bool(begun))
    stopping = stops(chosen)
    grows = {one.path: hides(able.get(one.path, Abilities())) if request.show_hidden else 0 for one in chosen}
    pins = tuple(DiskMustBe(disk=one.identity, holders=one.holders, grows_bytes=grows[one.path]) for one in chosen)
    return Plan(
        preconditions=pins, steps=(*left, *stopping, *attributed(erasures(chosen, request, able), inventory, dead))
    )


def erasures(chosen: tuple[Disk, ...], request: EraseRequest, able: Able) -> tuple[Step, ...]:
    """One step, in which no disk keeps another from being erased. One without a size cannot be, and comes last. Raises
    `SelectionError`.
    """
    ordered = sorted(chosen, key=lambda disk: not disk.size_bytes)
    whole = [disk for disk in ordered if is_erased_whole(disk, request.method)]
    if not whole:
        return (WipeMetadata(wipes=tuple(wipe(disk) for disk in ordered)),) if ordered else ()
    found = tuple(
        erasure(disk, request.method, able, show_hidden=request.show_hidden) if disk in whole else wipe(disk)
        for disk in ordered
    )
    step = EraseDisks(
        erasures=found,
        at_once=min(request.at_once, len(by_disk(found))),
        node_id=request.node_id,
        request_id=request.request_id,
        quarantine=request.quarantine,
    )
    return (step,)


def attributed(steps: tuple[Step, ...], inventory: Inventory, dead: tuple[Disk, ...]) -> tuple[Step, ...]:
    """With what the certificate says of the machine: its serial, versions of firmware, which a tenant may have changed,
    and disks that have failed before anything was done to them.
    """
    system, found = inventory.system, dict[str, str]()
    if not isinstance(system, Unknown) and (version := known(system.firmware_version)):
        found["system"] = version
    disks = () if isinstance(inventory.disks, Unknown) else inventory.disks
    found |= {
        f"disk {disk.identity.serial or disk.identity.wwn or disk.path}": version
        for disk in disks
        if (version := known(disk.firmware))
    }
    serial = None if isinstance(system, Unknown) else known(system.serial)
    unwritable = tuple(disk.identity for disk in dead)
    changes = {"machine_serial": serial, "firmware": found, "unwritable": unwritable}
    return tuple(step.model_copy(update=changes) if isinstance(step, EraseDisks) else step for step in steps)


def is_erased_whole(disk: Disk, method: EraseMethod) -> bool:
    """Or of what says what it holds. Express: all where that takes minutes, since the drive only has to forget."""
    return method != "metadata" and (method != "express" or known(disk.transport) == "nvme")


def must_be_writable(disks: tuple[Disk, ...]) -> None:
    """Raises `DiskReadOnly`."""
    for disk in disks:
        if disk.read_only:
            raise DiskReadOnly(f"preparing {disk.identity}", "the kernel says it is read-only: it cannot be erased")


def must_be_whole(array: RunningArray) -> None:
    """Raises `ArrayNotWhole`: what a missing member holds would not be erased, and not be written."""
    if array.faults:
        hint = "Delete the node's arrays, and make them anew of disks that work."
        raise ArrayNotWhole(f"preparing {array.identity}", "; ".join(array.faults), hint=hint)


def must_be_skipped(disks: tuple[Disk, ...], skip: SkipList) -> None:
    """Disks that are no part of this machine: an image may have been written to one, and it may as well be somebody
    else's. Raises `SelectionError` where the request does not say. What a BMC plugs in is nobody's.
    """
    skipped = {step.disk for step in to_be_left(disks, skip)}
    untold = [
        disk.identity
        for disk in disks
        if disk.identity not in skipped and not disk.read_only and not is_plugged_in_by_bmc(disk)
    ]
    if untold:
        raise SelectionError(
            "erasing every disk",
            f"removable or remote, and perhaps not this machine's: {', '.join(map(str, untold))}",
            hint="Say in skip_block_devices that it is to be left alone; or erase it, and detach it.",
        )


def is_plugged_in_by_bmc(disk: Disk) -> bool:
    """Virtual media are on USB; a volume of the network's may be called virtual, too (tgt: VIRTUAL-DISK)."""
    return known(disk.transport) == "usb" and "virtual" in str(known(disk.model)).lower()


def is_local(disk: Disk) -> bool:
    """Part of this machine."""
    return disk.is_own


def must_be_those_ordered(
    local: tuple[Disk, ...], ordered: tuple[DiskIdentity, ...] | None, *, grown: bool = False
) -> None:
    """Raises `DiskChanged` where a disk is there that nobody knew of who ordered this: it was plugged in since, and may
    hold what somebody wants back. One that is gone keeps no other from being erased: whoever ordered this misses it.
    With `grown`, one with that WWN may show more of itself than it did: it was begun with.
    """
    if ordered is None:
        return

    def is_meant(disk: DiskIdentity) -> bool:
        has_grown = grown and disk.wwn is not None and any(disk.has_grown_from(one) for one in ordered)
        return has_grown or any(one.may_be(disk) for one in ordered)

    strange = [str(disk.identity) for disk in local if not is_meant(disk.identity)]
    if strange:
        raise DiskChanged(
            "preparing to erase the disks",
            f"not in the order: {'; '.join(strange)}; ordered: {'; '.join(map(str, ordered)) or 'no disk'}",
            hint="Boot the machine again, which lists its disks anew, and ask again; or take the disk out.",
        )


def must_all_be_there(chosen: tuple[Disk, ...], begun: tuple[DiskIdentity, ...]) -> None:
    """Raises `DiskChanged` when a disk that was half erased is gone, under whatever name."""
    gone = [str(one) for one in begun if not any(disk.identity.has_grown_from(one) for disk in chosen)]
    if gone:
        raise DiskChanged("erasing again after an interruption", f"gone, and perhaps half erased: {', '.join(gone)}")


def named(disks: tuple[Disk, ...], names: tuple[str, ...]) -> tuple[Disk, ...]:
    """The disks with these serials or WWNs, all of them, one a name, by all its paths. Raises `NoDiskMatches`,
    `SeveralDisksMatch`.
    """
    doing = "selecting the disks to erase"
    found = {name: [disk for disk in disks if name in (known(disk.serial), known(disk.wwn))] for name in names}
    missing = [name for name, bearers in found.items() if not bearers]
    if missing:
        there = "; ".join(str(disk.identity) for disk in disks)
        raise NoDiskMatches(doing, f"not here: {', '.join(missing)}; here: {there}")
    for name, bearers in found.items():
        if len(bearers) > 1 and not are_paths(bearers):
            raise SeveralDisksMatch(doing, f"{name} is borne by {'; '.join(str(disk.identity) for disk in bearers)}")
    return tuple(dict.fromkeys(disk for bearers in found.values() for disk in bearers))


def are_paths(disks: list[Disk]) -> bool:
    """Whether these are one disk: WWNs are not given twice, as serials are."""
    return all(known(disk.wwn) for disk in disks) and len({disk.identity.bearer for disk in disks}) == 1
