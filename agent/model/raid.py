# SPDX-License-Identifier: Apache-2.0
"""Software RAID as it is asked for: OpenStack Ironic's `target_raid_config`, as far as mdadm makes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.model.device_hints import OperatorHints
from agent.model.frozen import Frozen

Level = Literal["0", "1", "1+0", "5", "6"]
LEAST_DISKS: dict[Level, int] = {"0": 2, "1": 2, "1+0": 2, "5": 3, "6": 4}


class LogicalDisk(Frozen):
    """One array."""

    size_gb: int | Literal["MAX"] = Field(description="of 2^30 bytes, usable; MAX: what the others leave")
    raid_level: Level
    controller: Literal["software"] = "software"
    volume_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$")
    is_root_volume: bool = False
    physical_disks: tuple[OperatorHints, ...] = Field(
        default=(), description="one disk an entry, the first that fits and is not taken; none: every local disk"
    )


class LogicalDisks(Frozen):
    """All of them, in order: the first becomes /dev/md0."""

    logical_disks: tuple[LogicalDisk, ...] = Field(min_length=1, max_length=16)


def share_bytes(level: Level, size_bytes: int, disks: int) -> int:
    """What each disk gives to an array of that usable size; rounded up."""
    halves = {"0": 2 * disks, "1": 2, "1+0": disks, "5": 2 * (disks - 1), "6": 2 * (disks - 2)}[level]
    return -(-2 * size_bytes // halves)
