# SPDX-License-Identifier: Apache-2.0
"""Doing `EraseDisk`: every byte zeroed, then samples read back from the medium. A nonzero byte is a failure."""

from __future__ import annotations

from agent.errors import DeviceError, EraseUnproven
from agent.host.doors import BlockDevice, Host
from agent.model.disk import DiskIdentity
from agent.model.job import Advance, Result
from agent.model.plan import EraseDisk, LeaveDisk

SLICE_BYTES = 1024**3
NO_SIZE = "the kernel gives it no size: perhaps its sectors have 520 or 528 bytes"


def erase_disk(host: Host, step: EraseDisk, advance: Advance) -> Result:
    """Returns what was erased and how many samples prove it. Raises `HostError`, `EraseUnproven`."""
    size = step.disk.size_bytes
    if not size:
        raise DeviceError(f"erasing {step.disk}", NO_SIZE)
    with host.block.open_exclusive(step.disk.path) as disk:
        for start in range(0, size, SLICE_BYTES):
            length = min(SLICE_BYTES, size - start)
            disk.zero(start, length)
            advance(start + length, size)
        disk.flush()
        for offset in step.sample_offsets:
            must_be_zero(disk, offset, min(step.sample_bytes, size - offset), step.disk)
        disk.reread_table()
    who = step.disk.serial or step.disk.wwn or step.disk.path
    return {f"erased {who}": size, f"samples {who}": len(step.sample_offsets)}


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
