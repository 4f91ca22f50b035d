# SPDX-License-Identifier: Apache-2.0
"""Planning `image.capture`: which disk is read, and what is forgotten. What is on it is judged when it is read."""

from __future__ import annotations

from agent.errors import NoDiskMatches
from agent.model.disk import Disk
from agent.model.generalise.table import CONFIG_DRIVE, NAMES
from agent.model.inventory import Inventory
from agent.model.plan import CaptureDisk, DiskMustBeIdle, Plan
from agent.model.request import CaptureRequest
from agent.plan.disk import disks_of, must_be_free, select


def plan_capture(inventory: Inventory, request: CaptureRequest) -> Plan:
    """One step. A disk that is mounted, even to be read, may change while it is read, and is refused.

    Raises `SelectionError`, `DiskInUse`.
    """
    disk = chosen(disks_of(inventory), request)
    must_be_free(disk)
    step = CaptureDisk(
        disk=disk.identity,
        to=request.to,
        access=request.access,
        forget=tuple(name for name in NAMES if name not in request.keep) if request.generalise else (),
        keep_drive=CONFIG_DRIVE in request.keep or not request.generalise,
        force=request.force,
        os=request.os,
        level=request.level,
    )
    return Plan(preconditions=(DiskMustBeIdle(disk=disk.identity),), steps=(step,))


def chosen(disks: tuple[Disk, ...], request: CaptureRequest) -> Disk:
    """By its path, if an operator gave one, or by its hints. A disk that is write-protected can be read."""
    if request.path is None:
        by_path = {disk.path: disk for disk in disks}
        readable = tuple(disk.model_copy(update={"read_only": False}) for disk in disks)
        return by_path[select(readable, request.disk).path]
    found = next((disk for disk in disks if disk.path == request.path), None)
    if found is None:
        there = "; ".join(str(disk.identity) for disk in disks) or "this machine has none"
        raise NoDiskMatches(f"selecting the disk {request.path}", f"there is no such disk; the disks: {there}")
    return found
