# SPDX-License-Identifier: Apache-2.0
"""Software RAID: as it is asked for, OpenStack Ironic's `target_raid_config` as far as mdadm makes it; and as it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from agent.model.device_hints import OperatorHints
from agent.model.disk import Disk, DiskIdentity
from agent.model.fact import Fact, known
from agent.model.frozen import Frozen

Level = Literal["0", "1", "1+0", "5", "6"]
LEAST_DISKS: dict[Level, int] = {"0": 2, "1": 2, "1+0": 2, "5": 3, "6": 4}
MD_LEVEL: dict[Level, str] = {"0": "raid0", "1": "raid1", "1+0": "raid10", "5": "raid5", "6": "raid6"}
"""As the kernel calls them."""
ESP = "esp"
"""The mirror of EFI system partitions: ironic-python-agent's name for it. Its superblock is at the end (metadata 1.0),
so that to firmware each part of it is an ordinary partition.
"""


class LogicalDisk(Frozen):
    """One array."""

    size_gb: Annotated[int, Field(ge=1)] | Literal["MAX"] = Field(
        description="of 2^30 bytes, usable; MAX: what the others leave"
    )
    raid_level: Level
    controller: Literal["software"] = "software"
    volume_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$")
    is_root_volume: bool = False
    physical_disks: tuple[OperatorHints, ...] = Field(
        default=(), description="one disk an entry, the first that fits and is not taken; none: every local disk"
    )

    @field_validator("physical_disks", mode="before")
    @classmethod
    def _as_ironic_writes_them(cls, given: Any) -> Any:
        """{"size": ">= 400"} for {"specs": {"size": ">= 400"}}."""
        if not isinstance(given, list | tuple):
            return given
        return [{"specs": one} if isinstance(one, dict) and "specs" not in one else one for one in given]

    @field_validator("volume_name")
    @classmethod
    def _is_free(cls, name: str | None) -> str | None:
        if name == ESP:
            raise ValueError(f"{ESP} is the name of the mirrored EFI system partitions")
        return name

    def name(self, place: int) -> str:
        """That which its members bear; without one of its own it is called by its place."""
        return self.volume_name or f"md{place}"


class LogicalDisks(Frozen):
    """All of them, in order: the first becomes /dev/md0."""

    logical_disks: tuple[LogicalDisk, ...] = Field(min_length=1, max_length=16)


class RunningArray(Disk):
    """An array that the kernel runs, as a disk. Who it is: the UUID that its members bear."""

    uuid: Fact[str] = None
    volume_name: Fact[str] = Field(default=None, description="without the name of the host that made it")
    level: str = Field(description="raid1, raid10 …; empty for one that does not run")
    members: tuple[str, ...] = Field(description="kernel names of what it stands on: sda2 …")
    faults: tuple[str, ...] = Field(default=(), description="what keeps it from being whole, in words")

    @property
    def identity(self) -> DiskIdentity:
        """Who it is, to be pinned in a plan."""
        return super().identity.model_copy(update={"array_uuid": known(self.uuid)})


class Assembly(Frozen):
    """An array that is to run."""

    uuid: str
    node: str
    members: tuple[str, ...] = Field(description="nodes of all its parts that are there")
    read_only: bool = Field(description="neither it nor its parts are written to, superblocks included")


def without_host(name: str) -> str:
    """mdadm puts the name of the host that makes an array before its own: `host:root`."""
    return name.rpartition(":")[2]


def share_bytes(level: Level, size_bytes: int, disks: int) -> int:
    """What each disk gives to an array of that usable size; rounded up."""
    halves = {"0": 2 * disks, "1": 2, "1+0": disks, "5": 2 * (disks - 1), "6": 2 * (disks - 2)}[level]
    return -(-2 * size_bytes // halves)
