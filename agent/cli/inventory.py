# SPDX-License-Identifier: Apache-2.0
"""`bms-agent inventory`: this machine's hardware, as tables or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.model.disk import GB, MIB, Disk
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.network import Nic


def show(json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False) -> None:
    """Show this machine's hardware."""
    from agent.host.real import host as open_host
    from agent.inventory import take

    found = take(open_host())
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        render(found, Console())


def render(found: Inventory, console: Console) -> None:
    """Tables for people; what is unknown says why."""
    for line in summary(found):
        console.print(line, highlight=False)
    if isinstance(found.disks, Unknown):
        console.print(f"disks    {found.disks}")
    else:
        console.print(disk_table(found.disks))
    if isinstance(found.nics, Unknown):
        console.print(f"NICs     {found.nics}")
    else:
        console.print(nic_table(found.nics))


def summary(found: Inventory) -> list[str]:
    """System, processors, memory: a line each."""
    system, cpu, memory = found.system, found.cpu, found.memory
    lines = (
        [f"system   {system}"]
        if isinstance(system, Unknown)
        else [
            f"system   {shown(system.vendor)} {shown(system.product)}, serial {shown(system.serial)}, "
            f"{system.firmware_mode} firmware {shown(system.firmware_version)}"
        ]
    )
    lines += (
        [f"cpu      {cpu}"]
        if isinstance(cpu, Unknown)
        else [
            f"cpu      {shown(cpu.model)}: {shown(cpu.sockets)} sockets, "
            f"{shown(cpu.cores)} cores, {cpu.threads} threads"
        ]
    )
    lines += (
        [f"memory   {memory}"]
        if isinstance(memory, Unknown)
        else [
            f"memory   {memory.total_bytes // MIB} MiB usable"
            + ("" if isinstance(memory.dimms, Unknown) else f", {len(memory.dimms)} modules")
        ]
    )
    return lines


def shown(fact: object) -> str:
    """A fact in a table: absent is a dash."""
    return "-" if fact is None else str(fact)


def disk_table(disks: tuple[Disk, ...]) -> Table:
    """A row a disk."""
    table = Table("disk", "size", "model", "serial", "WWN", "bus", "sectors", "holds", "used by")
    for disk in disks:
        holds = (
            str(disk.contents)
            if isinstance(disk.contents, Unknown)
            else ", ".join(f"{one.kind}" for one in disk.contents) or "nothing"
        )
        table.add_row(
            disk.path,
            f"{disk.size_bytes / GB:.1f} GB",
            shown(disk.model),
            shown(disk.serial),
            shown(disk.wwn),
            shown(disk.transport),
            f"{disk.logical_sector_bytes}/{disk.physical_sector_bytes}",
            holds,
            "; ".join(disk.users) or "-",
        )
    return table


def nic_table(nics: tuple[Nic, ...]) -> Table:
    """A row a NIC."""
    table = Table("NIC", "MAC", "PCI", "driver", "speed", "carrier", "addresses")
    for nic in nics:
        table.add_row(
            nic.name,
            nic.mac,
            shown(nic.pci_address),
            shown(nic.driver),
            shown(nic.speed_mbps),
            shown(nic.carrier),
            ", ".join(str(address) for address in nic.addresses) or "-",
        )
    return table
