# SPDX-License-Identifier: Apache-2.0
"""The machine as a whole: maker, serial, firmware, processors, memory. Sources are named per field."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from agent.model.fact import Fact, Unknown
from agent.model.frozen import Frozen


class FirmwareMode(StrEnum):
    """How this machine was booted: uefi if /sys/firmware/efi exists."""

    UEFI = "uefi"
    BIOS = "bios"


class System(Frozen):
    """SMBIOS types 0, 1 and 3 (DSP0134 sections 7.1, 7.2, 7.4)."""

    vendor: Fact[str] = None
    product: Fact[str] = None
    serial: Fact[str] = None
    uuid: Fact[str] = Field(default=None, description="lower case; the byte order of SMBIOS 2.6 and later")
    firmware_vendor: Fact[str] = None
    firmware_version: Fact[str] = None
    firmware_date: Fact[str] = None
    firmware_mode: FirmwareMode = FirmwareMode.BIOS
    asset_tag: Fact[str] = None


class Cpu(Frozen):
    """Processors, from /proc/cpuinfo, /sys/devices/system and SMBIOS type 4."""

    architecture: str
    model: Fact[str] = None
    sockets: Fact[int] = None
    cores: Fact[int] = Field(default=None, description="physical cores of all sockets")
    threads: int = Field(description="logical processors")
    numa_nodes: Fact[int] = None
    flags: tuple[str, ...] | Unknown = ()
    microcode: Fact[str] = None
    max_mhz: Fact[int] = None


class Dimm(Frozen):
    """A memory module: SMBIOS type 17. Empty slots are not listed."""

    locator: str
    bank: str | None = None
    size_bytes: int
    kind: str | None = Field(default=None, description="DDR4, DDR5 …")
    speed_mts: int | None = None
    configured_speed_mts: int | None = Field(default=None, description="at which it runs")
    rank_count: int | None = None
    data_width_bits: int | None = None
    total_width_bits: int | None = Field(default=None, description="more than the data: it has ECC")
    manufacturer: str | None = None
    serial: str | None = None
    part: str | None = None


class Memory(Frozen):
    """`total_bytes` is what the kernel can use; `physical_bytes` is what is plugged in."""

    total_bytes: int
    physical_bytes: Fact[int] = None
    slots: Fact[int] = None
    error_correction: Fact[str] = Field(default=None, description="Single-bit ECC, None … (SMBIOS type 16)")
    dimms: tuple[Dimm, ...] | Unknown = ()
