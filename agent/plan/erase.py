# SPDX-License-Identifier: Apache-2.0
"""Planning `disk.erase`: which disks, and where each is read back to prove it."""

from __future__ import annotations

from agent.errors import NoDiskMatches
from agent.model.disk import MIB, Disk, DiskIdentity
from agent.model.fact import known
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, EraseDisk, Plan
from agent.model.request import EraseRequest
from agent.plan.disk import disks_of, must_be_free

REMOTE = frozenset({"iscsi", "fc", "usb"})
SAMPLES = 64


def plan_erase(inventory: Inventory, request: EraseRequest, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
    """One step a disk. Removable, read-only and remote disks are no local disks.

    `begun` has no say: erasing again what was half erased is what was asked for.
    Raises `NoDiskMatches` when a named disk is not there, `DiskInUse` when one is mounted.
    """
    del begun
    local = tuple(disk for disk in disks_of(inventory) if is_local(disk))
    chosen = local if request.serials is None else named(local, request.serials)
    for disk in chosen:
        must_be_free(disk)
    return Plan(
        preconditions=tuple(DiskMustBe(disk=disk.identity) for disk in chosen),
        steps=tuple(
            EraseDisk(disk=disk.identity, sample_offsets=sample_offsets(disk.size_bytes), sample_bytes=MIB)
            for disk in chosen
        ),
    )


def is_local(disk: Disk) -> bool:
    """Part of this machine and writable."""
    return not (disk.removable or disk.read_only or known(disk.transport) in REMOTE)


def named(disks: tuple[Disk, ...], names: tuple[str, ...]) -> tuple[Disk, ...]:
    """The disks with these serials or WWNs, all of them. Raises `NoDiskMatches`."""
    found = {name: disk for name in names for disk in disks if name in (known(disk.serial), known(disk.wwn))}
    missing = [name for name in names if name not in found]
    if missing:
        there = "; ".join(str(disk.identity) for disk in disks)
        raise NoDiskMatches("selecting the disks to erase", f"not here: {', '.join(missing)}; here: {there}")
    return tuple(dict.fromkeys(found.values()))


def sample_offsets(size_bytes: int) -> tuple[int, ...]:
    """The first and the last MiB, and MiBs spread evenly between."""
    last = max(size_bytes - MIB, 0)
    return tuple(sorted({last * place // SAMPLES // MIB * MIB for place in range(SAMPLES)} | {last}))
