# SPDX-License-Identifier: Apache-2.0
"""What erasing disks has in common: one that is left is reported, and what was zeroed must read as zeroes."""

from __future__ import annotations

from agent.errors import EraseUnproven
from agent.host.doors import BlockDevice
from agent.model.disk import DiskIdentity
from agent.model.job import Result
from agent.model.plan import LeaveDisk


def leave_disk(step: LeaveDisk) -> Result:
    """Nothing is done, and the result says so: to pass a disk over is not to look like having erased it."""
    who = step.disk.serial or step.disk.wwn or step.disk.path
    return {f"skipped {who}": step.why}


def must_be_zero(disk: BlockDevice, offset: int, length: int, who: DiskIdentity) -> None:
    """Raises `EraseUnproven` with the place of the first byte that is not."""
    data = disk.read(offset, length)
    if data.count(0) != length:
        place = offset + next(at for at, byte in enumerate(data) if byte)
        raise EraseUnproven(f"reading {who} back", f"byte {place} is not zero")
