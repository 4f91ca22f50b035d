# SPDX-License-Identifier: Apache-2.0
"""Machines for the scenarios: a disk that is nobody's business, and that nothing may be written to."""

from __future__ import annotations

from agent.host.fake import FakeDisk, Machine
from tests.apply.disks import disk_of, machine

OTHER = b"another tenant's disk".ljust(512, b"\0")
ORDER = {"request_id": "r", "node_id": "n"}


def with_another(*sizes_bytes: int) -> Machine:
    """Disks, the last of which is nobody's business."""
    made = machine(*sizes_bytes)
    fill(last_disk(made), OTHER)
    return made


def last_disk(made: Machine) -> FakeDisk:
    """By its name."""
    names = sorted(name for name in made.tree.directories["/sys/block"] if name.startswith("sd"))
    return disk_of(made, f"/dev/{names[-1]}")


def fill(disk: FakeDisk, data: bytes) -> None:
    """On the medium."""
    disk.write(0, data)
    disk.flush()


def other_is_kept(made: Machine) -> bool:
    """Nothing was written to the last disk, nor is about to be."""
    disk = last_disk(made)
    rest = disk.durable.read(len(OTHER), disk.size_bytes - len(OTHER))
    return disk.durable.read(0, len(OTHER)) == OTHER and not any(rest) and not disk.cached
