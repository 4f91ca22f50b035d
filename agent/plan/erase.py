# SPDX-License-Identifier: Apache-2.0
"""Planning `disk.erase`: which disks, and where each is read back to prove it."""

from __future__ import annotations

from typing import Literal

from agent.errors import DiskChanged, DiskReadOnly, HostError, NoDiskMatches, SelectionError, SeveralDisksMatch
from agent.model.device_hints import SkipList
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.fact import known
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, EraseDisk, LeaveDisk, Plan, Step, WipeMetadata
from agent.model.request import EraseRequest
from agent.plan.device_hints import judged
from agent.plan.disk import disks_of, wanted
from agent.plan.holders import stops
from agent.plan.metadata import wipe

REMOTE = frozenset({"iscsi", "fc", "usb"})
SAMPLES = 64


def plan_erase(inventory: Inventory, request: EraseRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """What stands on the disks is taken down, then they are erased. Removable and remote disks are no local disks; of
    the others none is passed over in silence, since the node counts as erased afterwards. What an interrupted run has
    `begun` must all be there still.

    Raises `NoDiskMatches`, `SeveralDisksMatch`, `DiskChanged`, `DiskReadOnly`, `DiskInUse`.
    """
    local = tuple(disk for disk in disks_of(inventory) if is_local(disk))
    meant = local if request.serials is None else named(local, request.serials)
    if request.strict:
        must_be_skipped(tuple(disk for disk in disks_of(inventory) if not is_local(disk)), request.skip)
    left = to_be_left(meant, request.skip)
    if request.leave_read_only:
        left += tuple(LeaveDisk(disk=disk.identity, why="read-only") for disk in meant if disk.read_only)
    chosen = tuple(disk for disk in meant if disk.identity not in {step.disk for step in left})
    must_all_be_there(chosen, begun)
    must_be_writable(chosen)
    stopping = stops(chosen)
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in chosen)
    return Plan(preconditions=pins, steps=(*left, *stopping, *erasures(chosen, request.method)))


def erasures(chosen: tuple[Disk, ...], method: Literal["zero", "metadata"]) -> tuple[Step, ...]:
    """A disk without a size cannot be erased: it comes last, since the others can."""
    ordered = sorted(chosen, key=lambda disk: not disk.size_bytes)
    if method == "metadata":
        return (WipeMetadata(wipes=tuple(wipe(disk) for disk in ordered)),) if ordered else ()
    return tuple(
        EraseDisk(disk=disk.identity, sample_offsets=sample_offsets(disk.size_bytes), sample_bytes=MIB)
        for disk in ordered
    )


def must_be_writable(disks: tuple[Disk, ...]) -> None:
    """Raises `DiskReadOnly`."""
    for disk in disks:
        if disk.read_only:
            raise DiskReadOnly(f"preparing {disk.identity}", "the kernel says it is read-only: it cannot be erased")


def must_be_skipped(disks: tuple[Disk, ...], skip: SkipList) -> None:
    """Disks that are no part of this machine: an image may have been written to one, and it may as well be somebody
    else's. Raises `SelectionError` where the request does not say. What a BMC plugs in is nobody's.
    """
    skipped = {step.disk for step in to_be_left(disks, skip)}
    untold = [
        disk.identity
        for disk in disks
        if disk.identity not in skipped and not disk.read_only and "virtual" not in str(known(disk.model)).lower()
    ]
    if untold:
        raise SelectionError(
            "erasing every disk",
            f"removable or remote, and perhaps not this machine's: {', '.join(map(str, untold))}",
            hint="Say in skip_block_devices that it is to be left alone; or erase it, and detach it.",
        )


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


def is_local(disk: Disk) -> bool:
    """Part of this machine."""
    return not (disk.removable or known(disk.transport) in REMOTE)


def must_all_be_there(chosen: tuple[Disk, ...], begun: tuple[DiskIdentity, ...]) -> None:
    """Raises `DiskChanged` when a disk that was half erased is gone, under whatever name."""
    there = {(known(disk.wwn), known(disk.serial), disk.size_bytes) for disk in chosen}
    gone = [str(one) for one in begun if (one.wwn, one.serial, one.size_bytes) not in there]
    if gone:
        raise DiskChanged("erasing again after an interruption", f"gone, and perhaps half erased: {', '.join(gone)}")


def named(disks: tuple[Disk, ...], names: tuple[str, ...]) -> tuple[Disk, ...]:
    """The disks with these serials or WWNs, all of them, one a name. Raises `NoDiskMatches`, `SeveralDisksMatch`."""
    doing = "selecting the disks to erase"
    found = {name: [disk for disk in disks if name in (known(disk.serial), known(disk.wwn))] for name in names}
    missing = [name for name, bearers in found.items() if not bearers]
    if missing:
        there = "; ".join(str(disk.identity) for disk in disks)
        raise NoDiskMatches(doing, f"not here: {', '.join(missing)}; here: {there}")
    for name, bearers in found.items():
        if len(bearers) > 1:
            raise SeveralDisksMatch(doing, f"{name} is borne by {'; '.join(str(disk.identity) for disk in bearers)}")
    return tuple(dict.fromkeys(disk for bearers in found.values() for disk in bearers))


def sample_offsets(size_bytes: int) -> tuple[int, ...]:
    """The first and the last MiB, and MiBs spread evenly between."""
    last = max(size_bytes - MIB, 0)
    return tuple(sorted({last * place // SAMPLES // MIB * MIB for place in range(SAMPLES)} | {last}))
