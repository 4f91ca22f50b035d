# SPDX-License-Identifier: Apache-2.0
"""A disk in full: what it tells when it is asked itself, and what it is a part of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.model.disk import Disk
from agent.model.fact import Fact, Unknown
from agent.model.frozen import Frozen

Kind = Literal["short", "extended", "other"]
Outcome = Literal["passed", "failed", "ended"]


class DiskHealth(Frozen):
    """In one set of words for NVMe, ATA and SCSI. `None` is what this kind of disk, or this disk, does not tell."""

    passed: bool | None = Field(default=None, description="the disk's own verdict; False: replace it")
    warnings: tuple[str, ...] = Field(default=(), description="what speaks against it, in words")
    temperature_celsius: int | None = None
    power_on_hours: int | None = None
    power_cycles: int | None = None
    unsafe_shutdowns: int | None = None
    used_percent: int | None = Field(default=None, description="of its endurance; may be over 100")
    spare_percent: int | None = None
    spare_threshold_percent: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    media_errors: int | None = Field(default=None, description="data that could not be read, or written, correctly")
    logged_errors: int | None = None
    reallocated_sectors: int | None = None
    pending_sectors: int | None = None
    crc_errors: int | None = Field(default=None, description="on the way to the disk: a cable, a backplane")


class SelfTest(Frozen):
    """One that was done. `ended`: it was broken off, or is still at work, and says nothing."""

    kind: Kind
    outcome: Outcome
    at_hours: int | None = None
    place_lba: int | None = None
    told: str = ""

    def __str__(self) -> str:
        when = f", at {self.at_hours} hours" if self.at_hours is not None else ""
        where = f", at sector {self.place_lba}" if self.place_lba is not None else ""
        return f"{self.kind} self-test {self.outcome}{f' ({self.told})' if self.told else ''}{when}{where}"


class LbaFormat(Frozen):
    """A size of sectors that a namespace can be formatted to."""

    data_bytes: int
    metadata_bytes: int = 0
    performance: int = Field(default=0, description="0 is best, 3 is degraded")
    is_used: bool = False


class Namespace(Frozen):
    """An NVMe namespace."""

    number: int
    size_bytes: int
    capacity_bytes: int
    used_bytes: int
    formats: tuple[LbaFormat, ...] = ()
    nguid: str | None = None
    eui64: str | None = None


class Membership(Frozen):
    """What a disk, or a partition of it, is a part of."""

    kind: Literal["raid", "multipath", "lvm", "zfs", "bcache", "ceph", "vmfs"]
    node: str = Field(description="the disk or partition that is the member")
    of: str | None = Field(default=None, description="kernel name of what is put together from it, if it is")
    uuid: str | None = Field(default=None, description="of the set that it belongs to")


class DiskInFull(Disk):
    """A disk with what only it knows."""

    pci_address: Fact[str] = Field(default=None, description="of the disk, or of the adapter that it hangs on")
    numa_node: Fact[int] = None
    health: Fact[DiskHealth] = None
    namespaces: tuple[Namespace, ...] | Unknown = Field(default=(), description="of its NVMe controller")
    formats: tuple[LbaFormat, ...] | Unknown = ()
    nvme_version: Fact[str] = None
    capacity_bytes: Fact[int] = Field(default=None, description="of all of its NVMe subsystem")
    unallocated_bytes: Fact[int] = None
    rotation_rpm: Fact[int] = Field(default=None, description="0 does not turn")
    form_factor_inches: Fact[float] = None
    link_gbps: Fact[float] = Field(default=None, description="SATA: as negotiated")
    best_link_gbps: Fact[float] = Field(default=None, description="SATA: of the disk's own side")
    self_tests: Fact[tuple[SelfTest, ...]] = Field(default=None, description="newest first; () none was ever done")
    is_locked: Fact[bool] = Field(default=None, description="by an ATA password")
    memberships: tuple[Membership, ...] | Unknown = ()
