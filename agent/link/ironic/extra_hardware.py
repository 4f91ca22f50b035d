# SPDX-License-Identifier: Apache-2.0
"""The inventory once more, as the `hardware-detect` tool has it: lists of four, of which Ironic makes a tree. Pure.

Its benchmarks are not run: they load a machine for minutes, and the ones that matter are burn-in steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.model.disk import GB, Disk
from agent.model.fact import known
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu, Memory, System

Item = tuple[str, str, str, object]


def extra_hardware(inventory: Inventory) -> list[list[object]]:
    """[class, instance, property, value]; what is not known is left out."""
    items = [
        *system_items(known(inventory.system)),
        *cpu_items(known(inventory.cpu)),
        *memory_items(known(inventory.memory)),
        *disk_items(known(inventory.disks) or ()),
        *nic_items(known(inventory.nics) or ()),
    ]
    return [list(item) for item in items if item[3] is not None]


def system_items(found: System | None) -> Iterator[Item]:
    """Maker and firmware."""
    if found is None:
        return
    yield "system", "product", "name", known(found.product)
    yield "system", "product", "vendor", known(found.vendor)
    yield "system", "product", "serial", known(found.serial)
    yield "system", "product", "uuid", known(found.uuid)
    yield "firmware", "bios", "vendor", known(found.firmware_vendor)
    yield "firmware", "bios", "version", known(found.firmware_version)
    yield "firmware", "bios", "date", known(found.firmware_date)


def cpu_items(found: Cpu | None) -> Iterator[Item]:
    """Sockets and threads."""
    if found is None:
        return
    yield "cpu", "physical", "number", known(found.sockets)
    yield "cpu", "logical", "number", found.threads
    for number in range(known(found.sockets) or 0):
        yield "cpu", f"physical_{number}", "product", known(found.model)
        yield "cpu", f"physical_{number}", "flags", " ".join(known(found.flags) or ()) or None


def memory_items(found: Memory | None) -> Iterator[Item]:
    """All of it, and each module."""
    if found is None:
        return
    yield "memory", "total", "size", known(found.physical_bytes) or found.total_bytes
    for number, module in enumerate(known(found.dimms) or ()):
        name = f"bank:{number}"
        yield "memory", name, "size", module.size_bytes
        yield "memory", name, "slot", module.locator
        yield "memory", name, "vendor", module.manufacturer
        yield "memory", name, "serial", module.serial
        yield "memory", name, "product", module.part


def disk_items(disks: Sequence[Disk]) -> Iterator[Item]:
    """Sizes are in GB."""
    yield "disk", "logical", "count", len(disks)
    for disk in disks:
        yield "disk", disk.name, "size", disk.size_bytes // GB
        yield "disk", disk.name, "vendor", known(disk.vendor)
        yield "disk", disk.name, "model", known(disk.model)
        yield "disk", disk.name, "rev", known(disk.firmware)
        yield "disk", disk.name, "rotational", None if known(disk.rotational) is None else int(bool(disk.rotational))
        yield "disk", disk.name, "SMART/serial_number", known(disk.serial)
        yield "disk", disk.name, "wwn-id", None if (wwn := known(disk.wwn)) is None else f"wwn-{wwn}"


def nic_items(nics: Sequence[Nic]) -> Iterator[Item]:
    """The serial of a NIC is its MAC."""
    for nic in nics:
        speed, pci = known(nic.speed_mbps), known(nic.pci_address)
        yield "network", nic.name, "serial", nic.mac
        yield "network", nic.name, "link", "yes" if known(nic.carrier) else "no"
        yield "network", nic.name, "driver", known(nic.driver)
        yield "network", nic.name, "businfo", None if pci is None else f"pci@{pci}"
        yield "network", nic.name, "speed", None if speed is None else f"{speed}Mbit/s"
        yield "network", nic.name, "ipv4", next((str(one.ip) for one in nic.addresses if one.version == 4), None)
