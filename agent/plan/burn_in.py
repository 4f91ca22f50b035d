# SPDX-License-Identifier: Apache-2.0
"""Planning `hardware.burn_in`: which disks a load of disks may destroy. All other loads touch nothing that lasts."""

from __future__ import annotations

from agent.errors import DiskInUse
from agent.model.burn_in import BurnIn, DiskLoad
from agent.model.disk import Disk, DiskIdentity
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, LeaveDisk, Plan
from agent.model.raid import without_host
from agent.model.request import BurnInRequest
from agent.plan.disk import MEMBER, disks_of
from agent.plan.erase import is_local, must_all_be_there, must_be_writable
from agent.plan.guard import must_not_be_shared
from agent.plan.holders import stops
from agent.plan.left import keeping


def plan_burn_in(
    inventory: Inventory, request: BurnInRequest, spool: str, begun: tuple[DiskIdentity, ...] = ()
) -> Plan:
    """Volumes that stand on the disks are taken down first, as for erasing; arrays are not: a test is no reason to lose
    one. A disk of no size could not be loaded.

    Raises `DiskInUse`, `DiskShared`, `DiskReadOnly`, `DiskChanged`.
    """
    chosen: tuple[Disk, ...] = ()
    left: tuple[LeaveDisk, ...] = ()
    if any(isinstance(load, DiskLoad) for load in request.loads):
        chosen, left = may_be_written(inventory, request)
        must_all_be_there(chosen, begun)
        must_be_writable(chosen)
        must_be_of_no_array(chosen, request.keep_arrays)
        must_not_be_shared(chosen, allowed=request.shared_too or bool(begun))
    step = BurnIn(
        loads=request.loads,
        disks=tuple(disk.identity for disk in chosen),
        record_path=f"{spool}/{request.request_id.replace(':', '-')}.burn-in",
        output=request.output,
    )
    pins = tuple(DiskMustBe(disk=disk.identity, holders=disk.holders) for disk in chosen)
    return Plan(preconditions=pins, steps=(*left, *stops(chosen), step))


def must_be_of_no_array(disks: tuple[Disk, ...], kept: tuple[str, ...]) -> None:
    """Of none that runs, and of none that is to be kept, be it assembled or not. Raises `DiskInUse`."""
    hint = "Delete the arrays first (raid.delete_configuration), or skip their disks."
    for disk in disks:
        running = [str(one) for one in disk.holders if one.kind == "md"]
        if running:
            raise DiskInUse(f"loading {disk.identity}", f"the array {', '.join(running)} stands on it", hint=hint)
        contents = () if isinstance(disk.contents, Unknown) else disk.contents
        names = [without_host(one.label or "") for one in contents if one.kind == MEMBER]
        if found := sorted({name for name in names if name in kept}):
            raise DiskInUse(f"loading {disk.identity}", f"it holds a part of the array {', '.join(found)}", hint=hint)


def may_be_written(inventory: Inventory, request: BurnInRequest) -> tuple[tuple[Disk, ...], tuple[LeaveDisk, ...]]:
    """The local disks, less those to be skipped; a removable or remote one is left, and reported, too."""
    found = disks_of(inventory)
    left = keeping(inventory, found, request.skip).left
    left += tuple(
        LeaveDisk(disk=disk.identity, why="removable or remote")
        for disk in found
        if not is_local(disk) and disk.identity not in {one.disk for one in left}
    )
    return tuple(disk for disk in found if disk.identity not in {one.disk for one in left}), left
