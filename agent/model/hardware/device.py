# SPDX-License-Identifier: Apache-2.0
"""PCI functions, graphics processors and USB devices in full. Names are udev's, of its hardware database."""

from __future__ import annotations

from pydantic import Field

from agent.model.devices import PciDevice
from agent.model.fact import Fact
from agent.model.frozen import Frozen


class PciLink(Frozen):
    """How a function is attached by PCI Express: now, and at best."""

    speed_gts: float | None = Field(default=None, description="GT/s a lane")
    width_lanes: int | None = None
    best_speed_gts: float | None = None
    best_width_lanes: int | None = None


class PciInFull(PciDevice):
    """A PCI function."""

    class_name: str | None = None
    vendor_name: Fact[str] = None
    product_name: Fact[str] = None
    subsystem: str | None = Field(default=None, description="of vendor and product, in hexadecimal, such as 1028:1f4b")
    driver: str | None = None
    link: PciLink | None = None


class Gpu(Frozen):
    """A graphics processor, or a compute accelerator that says it is one."""

    address: str
    vendor: str
    product: str
    vendor_name: Fact[str] = None
    product_name: Fact[str] = None
    driver: Fact[str] = None
    memory_bytes: Fact[int] = Field(default=None, description="as its driver tells; else its largest window on the bus")
    numa_node: int | None = None
    is_console: Fact[bool] = Field(default=None, description="the firmware shows its screens on it")


class UsbInFull(Frozen):
    """A USB device that is no hub."""

    port: str = Field(description="such as 1-1.4: it stays as long as the device stays where it is plugged in")
    bus: int
    number: int
    vendor: str
    product: str
    vendor_name: Fact[str] = None
    product_name: Fact[str] = None
    serial: str | None = None
    speed_mbps: float | None = None
