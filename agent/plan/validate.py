# SPDX-License-Identifier: Apache-2.0
"""Planning `hardware.validate`: which tests, with what settings, on which disks, and which of those may be written."""

from __future__ import annotations

from agent.model.disk import Disk, DiskIdentity
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, Plan
from agent.model.request import ValidateRequest
from agent.model.validation import Validate
from agent.model.validation.catalogue import BY_NAME, chosen
from agent.plan.disk import disks_of, must_be_free
from agent.plan.erase import is_local, must_all_be_there, must_be_writable, named
from agent.plan.guard import must_not_be_shared


def plan_validate(
    inventory: Inventory, request: ValidateRequest, spool: str, begun: tuple[DiskIdentity, ...] = ()
) -> Plan:
    """Reading harms nobody, so what is in use is read, too. What is written is local, free, and named; nothing that
    stands on it is taken down for a test.

    Raises `InputError`, `NoDiskMatches`, `SeveralDisksMatch`, `DiskInUse`, `DiskShared`, `DiskReadOnly`, `DiskChanged`.
    """
    trials = chosen(request.profile, request.parts, request.tests, request.settings, wipe=request.wipe)
    meant: tuple[Disk, ...] = ()
    if request.disks or any(one.part == "disk" for one in trials):
        meant = to_be_tested(inventory, request)
    wiped = meant if any(BY_NAME[one.test].destroys for one in trials) else ()
    must_all_be_there(wiped, begun)
    must_be_writable(wiped)
    must_not_be_shared(wiped, allowed=bool(begun))
    for disk in wiped:
        must_be_free(disk)
    step = Validate(
        trials=trials,
        disks=tuple(disk.identity for disk in meant),
        wiped=tuple(disk.identity for disk in wiped),
        time_limit_s=request.time_limit_s,
        record_path=f"{spool}/{request.request_id.replace(':', '-')}.validation",
    )
    return Plan(preconditions=tuple(DiskMustBe(disk=disk.identity) for disk in wiped), steps=(step,))


def to_be_tested(inventory: Inventory, request: ValidateRequest) -> tuple[Disk, ...]:
    """Those that are named, else every local one that is there: an empty card reader, or a BMC's drive, is no disk."""
    found = disks_of(inventory)
    if request.disks:
        return named(tuple(disk for disk in found if is_local(disk)) if request.wipe else found, request.disks)
    return tuple(disk for disk in found if is_local(disk) and disk.size_bytes)
