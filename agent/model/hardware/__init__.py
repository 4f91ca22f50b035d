# SPDX-License-Identifier: Apache-2.0
"""The inventory in full: what `bms-agent inventory` shows, and what the service compares from boot to boot.

It is an `Inventory` with more in it. Each part may be `Unknown` for itself. What changes by itself (temperatures,
counters, time) is in it too, and is nothing to compare: `agent.plan.differences` knows which is which.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.model.bmc import Bmc
from agent.model.fact import Fact, Unknown
from agent.model.hardware.device import Gpu, PciInFull, UsbInFull
from agent.model.hardware.disk import DiskInFull
from agent.model.hardware.firmware import FirmwareInFull
from agent.model.hardware.nic import NicInFull
from agent.model.hardware.processor import CpuInFull
from agent.model.hardware.sensor import MemoryErrors, Sensor
from agent.model.hardware.tpm import Tpm
from agent.model.inventory import Inventory


class Hardware(Inventory):
    """One machine in full."""

    taken_at: datetime
    boot_id: Fact[str] = None
    cpu: CpuInFull | Unknown
    disks: tuple[DiskInFull, ...] | Unknown
    nics: tuple[NicInFull, ...] | Unknown
    firmware: FirmwareInFull | Unknown
    pci_devices: tuple[PciInFull, ...] | Unknown
    usb_devices: tuple[UsbInFull, ...] | Unknown
    gpus: tuple[Gpu, ...] | Unknown
    tpm: Fact[Tpm] = None
    bmc: Fact[Bmc] = None
    sensors: tuple[Sensor, ...] | Unknown
    memory_errors: tuple[MemoryErrors, ...] | Unknown = Field(description="EDAC; () without its drivers")
