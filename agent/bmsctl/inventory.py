# SPDX-License-Identifier: Apache-2.0
"""An inventory as a person reads it."""

from __future__ import annotations

from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from agent.bmsctl.show import facts, gigabytes, rows
from agent.model.disk import Disk
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu, Memory, System

GIB = 1024**3


def inventory_tables(inventory: Inventory) -> list[RenderableType]:
    """The machine, its disks, its NICs."""
    machine = system_facts(inventory.system) | cpu_facts(inventory.cpu) | memory_facts(inventory.memory)
    return [
        Text(""),
        facts(machine),
        Text(""),
        Text(str(inventory.disks)) if isinstance(inventory.disks, Unknown) else disk_table(inventory.disks),
        Text(str(inventory.nics)) if isinstance(inventory.nics, Unknown) else nic_table(inventory.nics),
    ]


def seen_otherwise(before: Inventory | None, now: Inventory | None, at: datetime | None) -> tuple[str, ...] | None:
    """What a server's own OS sees of disks and NICs that its ramdisk did not, and the other way round: news, no proof.
    None where it told nothing.
    """
    if before is None or now is None:
        return None
    then, today = parts(before), parts(now)
    changes = [f"{one} is gone" for one in sorted(then - today)] + [f"{one} is new" for one in sorted(today - then)]
    return (*(changes or ["nothing is another"]), f"at {at}")


def parts(inventory: Inventory) -> set[str]:
    """Its disks and NICs, as far as they are known, by what they are known by."""
    disks = () if isinstance(inventory.disks, Unknown) else inventory.disks
    nics = () if isinstance(inventory.nics, Unknown) else inventory.nics
    return {f"disk {one.identity}" for one in disks} | {f"NIC {one.mac}" for one in nics}


def system_facts(system: System | Unknown) -> dict[str, object]:
    """Maker, product, firmware."""
    if isinstance(system, Unknown):
        return {"system": str(system)}
    firmware = [known(system.firmware_vendor), known(system.firmware_version)]
    return {
        "vendor": known(system.vendor),
        "product": known(system.product),
        "serial": known(system.serial),
        "uuid": known(system.uuid),
        "firmware": " ".join([system.firmware_mode.value, *(word for word in firmware if word)]),
    }


def cpu_facts(cpu: Cpu | Unknown) -> dict[str, object]:
    """Processors."""
    if isinstance(cpu, Unknown):
        return {"cpu": str(cpu)}
    counts = [
        f"{count} {name}"
        for name, count in (
            ("sockets", known(cpu.sockets)),
            ("cores", known(cpu.cores)),
            ("threads", cpu.threads),
            ("NUMA nodes", known(cpu.numa_nodes)),
        )
        if count is not None
    ]
    return {"cpu": " ".join([cpu.architecture, known(cpu.model) or ""]).strip(), "": ", ".join(counts)}


def memory_facts(memory: Memory | Unknown) -> dict[str, object]:
    """Memory."""
    if isinstance(memory, Unknown):
        return {"memory": str(memory)}
    dimms = () if isinstance(memory.dimms, Unknown) else memory.dimms
    modules = f" ({len(dimms)} modules)" if dimms else ""
    return {"memory": f"{memory.total_bytes / GIB:.1f} GiB usable{modules}"}


def disk_table(disks: tuple[Disk, ...]) -> RenderableType:
    """A line a disk."""
    columns = ("DISK", "SIZE", "MODEL", "SERIAL", "WWN", "TRANSPORT", "MEDIA", "SECTOR", "HOLDS")
    return rows(
        columns,
        (
            (
                disk.name,
                gigabytes(disk.size_bytes),
                known(disk.model),
                known(disk.serial),
                known(disk.wwn),
                known(disk.transport),
                {True: "hdd", False: "ssd"}.get(bool(known(disk.rotational)))
                if known(disk.rotational) is not None
                else None,
                disk.logical_sector_bytes,
                contents(disk),
            )
            for disk in disks
        ),
        spare=("SECTOR", "TRANSPORT", "MEDIA", "WWN", "MODEL"),
    )


def contents(disk: Disk) -> str:
    """What is on it."""
    if isinstance(disk.contents, Unknown):
        return str(disk.contents)
    return ", ".join(dict.fromkeys(content.kind for content in disk.contents)) or "nothing"


def nic_table(nics: tuple[Nic, ...]) -> RenderableType:
    """A line a NIC."""
    columns = ("NIC", "MAC", "PCI", "DRIVER", "MBIT/S", "CARRIER", "ADDRESSES")
    return rows(
        columns,
        (
            (
                nic.name,
                nic.mac,
                known(nic.pci_address),
                known(nic.driver),
                known(nic.speed_mbps),
                known(nic.carrier),
                ", ".join(str(address) for address in nic.addresses) or None,
            )
            for nic in nics
        ),
        spare=("DRIVER", "PCI", "MBIT/S", "CARRIER"),
    )
