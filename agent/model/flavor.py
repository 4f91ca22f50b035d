# SPDX-License-Identifier: Apache-2.0
"""What a machine must at least have to be of a flavor, and a machine held against it, field by field. Pure.

One comparison serves the order that takes a node, the answer why none fits, and the operator in front of a machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from pydantic import Field

from agent.model.disk import GB, MIB, Disk
from agent.model.fact import Unknown, known
from agent.model.frozen import Frozen
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu, FirmwareMode, Memory, System

BondMode = Literal["802.3ad", "active-backup"]
LEGS = 2
REMOTE = frozenset({"iscsi", "fc", "fcoe", "usb", "tcp", "rdma", "sd", "mmc"})
"""Transports of what is plugged in or far away: volumes and sticks are nobody's root disk."""


class Media(StrEnum):
    """What a disk is made of."""

    SSD = "ssd"
    HDD = "hdd"


class Needs(Frozen):
    """What a node must at least have. What is left out does not matter."""

    cpu_arch: str = "x86_64"
    cores: int = Field(default=1, ge=1, description="physical cores of all sockets, at least")
    ram_mb: int = Field(default=512, ge=1, description="usable memory in MiB, at least")
    disks: int = Field(default=1, ge=1, description="local disks that fit, at least")
    disk_gb: int = Field(default=1, ge=1, description="size of each of them in GB of 10^9 bytes, at least")
    disk_media: Media | None = None
    nics: int = Field(default=1, ge=1, description="NICs that fit, at least")
    nic_mbps: int | None = Field(default=None, ge=1, description="speed of each of them, at least")
    firmware: FirmwareMode | None = None
    bond: BondMode | None = Field(default=None, description="the first two NICs are one, bond0, with the primary port")


class FlavorFile(Needs):
    """A flavor as a controller shows it (`bmsctl flavor show --json`), or as it is written by hand."""

    name: str = ""
    id: str | None = None
    created_at: str | None = None


class Comparison(Frozen):
    """One field: what the flavor wants of it, and what the machine has."""

    field: str
    wanted: str
    found: str
    fits: bool
    is_known: bool = Field(default=True, description="False: it could not be read, and `found` says why")

    @property
    def reason(self) -> str:
        """Why the machine is not of the flavor."""
        return f"{self.field}: flavor wants {self.wanted}, node has {self.found}" if self.is_known else self.unread

    @property
    def unread(self) -> str:
        """Nobody knows."""
        return f"{self.field}: {self.found}"


def compared(inventory: Inventory, needs: Needs) -> tuple[Comparison, ...]:
    """Every field that matters; what could not be read does not fit."""
    return (
        *of_cpu(inventory.cpu, needs),
        of_memory(inventory.memory, needs),
        of_disks(inventory.disks, needs),
        *of_nics(inventory.nics, needs),
        *of_firmware(inventory.system, needs),
    )


def unread(field: str, why: Unknown, wanted: object) -> Comparison:
    """What nobody knows."""
    return Comparison(field=field, wanted=str(wanted), found=str(why), fits=False, is_known=False)


def of_cpu(cpu: Cpu | Unknown, needs: Needs) -> Iterator[Comparison]:
    """Architecture, and cores: threads where nobody tells them apart."""
    if isinstance(cpu, Unknown):
        yield unread("cpu", cpu, f"{needs.cores} of {needs.cpu_arch}")
        return
    arch, cores = cpu.architecture, known(cpu.cores) or cpu.threads
    yield Comparison(field="cpu_arch", wanted=needs.cpu_arch, found=arch, fits=arch == needs.cpu_arch)
    yield Comparison(field="cores", wanted=str(needs.cores), found=str(cores), fits=cores >= needs.cores)


def of_memory(memory: Memory | Unknown, needs: Needs) -> Comparison:
    """Modules are counted where SMBIOS tells them: the kernel keeps some of the memory to itself."""
    if isinstance(memory, Unknown):
        return unread("ram_mb", memory, needs.ram_mb)
    ram_mb = max(memory.total_bytes, known(memory.physical_bytes) or 0) // MIB
    return Comparison(field="ram_mb", wanted=str(needs.ram_mb), found=str(ram_mb), fits=ram_mb >= needs.ram_mb)


def of_disks(disks: tuple[Disk, ...] | Unknown, needs: Needs) -> Comparison:
    """Those that are large enough, and of the right kind."""
    media = f" {needs.disk_media.value}" if needs.disk_media else ""
    wanted = f"{needs.disks} of at least {needs.disk_gb} GB{media}"
    if isinstance(disks, Unknown):
        return unread("disks", disks, wanted)
    local = local_disks(disks)
    fitting = [
        one for one in local if one.size_bytes >= needs.disk_gb * GB and needs.disk_media in (None, media_of(one))
    ]
    found = ", ".join(f"{one.name} {one.size_bytes // GB} GB {media_of(one)}" for one in local)
    return Comparison(field="disks", wanted=wanted, found=found or "none", fits=len(fitting) >= needs.disks)


def local_disks(disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
    """Disks that belong to the machine."""
    return tuple(disk for disk in disks if not (disk.removable or disk.is_remote or known(disk.transport) in REMOTE))


def media_of(disk: Disk) -> str:
    """As far as it is known."""
    match known(disk.rotational):
        case True:
            return Media.HDD.value
        case False:
            return Media.SSD.value
        case None:
            return "of unknown media"


def of_nics(nics: tuple[Nic, ...] | Unknown, needs: Needs) -> Iterator[Comparison]:
    """Those that are fast enough, now; a bond needs two of whatever speed."""
    speed = f" of at least {needs.nic_mbps} Mbit/s" if needs.nic_mbps else ""
    if isinstance(nics, Unknown):
        yield unread("nics", nics, f"{needs.nics}{speed}")
        return
    fitting = [nic for nic in nics if needs.nic_mbps is None or (known(nic.speed_mbps) or 0) >= needs.nic_mbps]
    count = len(fitting)
    yield Comparison(field="nics", wanted=f"{needs.nics}{speed}", found=str(count), fits=count >= needs.nics)
    if needs.bond:
        legs = f"{needs.bond} of {LEGS} NICs"
        yield Comparison(field="bond", wanted=legs, found=f"{len(nics)} NICs", fits=len(nics) >= LEGS)


def of_firmware(system: System | Unknown, needs: Needs) -> Iterator[Comparison]:
    """How it was booted."""
    if isinstance(system, Unknown):
        yield unread("firmware", system, needs.firmware or "any")
    elif needs.firmware:
        mode = system.firmware_mode
        yield Comparison(field="firmware", wanted=needs.firmware.value, found=mode.value, fits=mode == needs.firmware)
