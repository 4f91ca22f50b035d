# SPDX-License-Identifier: Apache-2.0
"""Memory: what the kernel can use, and the modules that SMBIOS lists."""

from __future__ import annotations

from agent.host.doors import Host
from agent.host.smbios import MemoryDevice, Tables
from agent.inventory.fact import of, said
from agent.model.fact import Fact, Unknown
from agent.model.system import Dimm, Memory


def memory(host: Host, tables: Fact[Tables]) -> Memory:
    """Locators may be doubled by careless firmware, so nothing is keyed by them."""
    devices = of(tables, lambda found: found.memory)
    plugged = of(
        devices, lambda every: tuple(dimm(number, each) for number, each in enumerate(every) if each.size_bytes)
    )
    return Memory(
        total_bytes=host.counters.memory_total_bytes(),
        physical_bytes=of(plugged, lambda every: sum(each.size_bytes for each in every) or None),
        error_correction=of(tables, lambda found: found.correction),
        slots=of(devices, lambda every: len(every) or None),
        dimms=plugged if plugged is not None else Unknown(unknown="this machine's firmware has no SMBIOS tables"),
    )


def dimm(number: int, device: MemoryDevice) -> Dimm:
    """A module in its slot."""
    return Dimm(
        locator=device.locator or f"slot {number}",
        bank=said(device.bank),
        size_bytes=device.size_bytes or 0,
        kind=device.kind,
        speed_mts=device.speed_mts,
        configured_speed_mts=device.configured_speed_mts,
        rank_count=device.ranks,
        data_width_bits=device.data_width_bits,
        total_width_bits=device.total_width_bits,
        manufacturer=said(device.manufacturer),
        serial=said(device.serial),
        part=said(device.part),
    )
