# SPDX-License-Identifier: Apache-2.0
"""`bms-agent inventory`: this machine's hardware, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.cli.terminal import terminal
from agent.cli.unswept import unswept
from agent.errors import InputError
from agent.model.disk import GB, MIB, Content, Disk
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.program.wait import waiting

if TYPE_CHECKING:
    from agent.host.doors import Host
    from agent.model.hardware import Hardware

FIRM_COLUMNS = 3


def show(
    json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="What that JSON is, as a JSON schema.")] = False,
    diff: Annotated[str | None, typer.Option(metavar="FILE", help="Only what is another than in this JSON.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Only what is another than at the last boot.")] = False,
    lldp: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Listen so long to the switches.")] = 0,
) -> None:
    """Show this machine's hardware: all that it tells of itself, without changing anything.

    Switches announce themselves every 30 seconds by default: --lldp 35 hears them all.
    """
    with unswept():
        from agent.cli.hardware import compared, details
        from agent.cli.machine import host as open_host
        from agent.inventory.hardware import take_in_full
        from agent.model.hardware import Hardware
    if schema:
        typer.echo(dumps(Hardware.model_json_schema(mode="serialization"), indent=2))
        return
    host = open_host()
    before = earlier(host, diff, last=last)
    with waiting("looking at the hardware", lldp):
        found = take_in_full(host, listen_s=lldp)
    if before is not None:
        from agent.plan.differences import differences

        news = differences(before, found)
        if json:
            typer.echo(dumps([one.model_dump(mode="json") for one in news], indent=2))
        else:
            compared(news, terminal())
    elif json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        render(found, terminal())
        details(found, terminal())


def earlier(host: Host, path: str | None, *, last: bool) -> Hardware | None:
    """What to compare with, if anything. Raises `InputError`, `DecodeError`, `HostError`."""
    if path is None and not last:
        return None
    from agent.cli.given import given
    from agent.cli.resident import settings_of
    from agent.job import survey
    from agent.model.hardware import Hardware

    if path is not None and last:
        raise InputError("reading the command line", "--diff and --last are two", hint="Say which one is meant.")
    if path is not None:
        return given(Path(path), Hardware, "Give an inventory, as bms-agent inventory --json prints it.")
    return survey.last(host, str(settings_of(host, with_cmdline=False).state_dir))


def render(found: Inventory, console: Console) -> None:
    """Tables for people; what is unknown says why."""
    for line in summary(found):
        console.print(line, highlight=False)
    for word, things in (("disks", found.disks), ("NICs", found.nics)):
        if isinstance(things, Unknown):
            console.print(f"{word:8} {things}", highlight=False)
    if not isinstance(found.disks, Unknown):
        listed(console, disk_table(found.disks), found.disks)
    if not isinstance(found.nics, Unknown):
        listed(console, nic_table(found.nics), found.nics)


def listed(console: Console, table: Table, things: tuple[Disk, ...] | tuple[Nic, ...]) -> None:
    """A table, and what it cannot say."""
    console.print()
    console.print(table, highlight=False)
    for reason in reasons(things):
        console.print(reason, highlight=False, style="dim")


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
    """A fact in a table: absent is a dash, unknown a question mark; why it is unknown is said below the table."""
    match fact:
        case None:
            return "-"
        case Unknown():
            return "?"
        case bool():
            return "yes" if fact else "no"
    return str(fact)


def reasons(things: tuple[Disk, ...] | tuple[Nic, ...]) -> list[str]:
    """Why facts are unknown, each reason once."""
    facts = [(one.name, getattr(one, name)) for one in things for name in shown_fields(one)]
    return sorted({f"? {name}: {fact.unknown}" for name, fact in facts if isinstance(fact, Unknown)})


def shown_fields(one: Disk | Nic) -> Iterable[str]:
    """What only a full inventory has, `agent.cli.hardware` shows."""
    return (Disk if isinstance(one, Disk) else Nic).model_fields


def disk_table(disks: tuple[Disk, ...]) -> Table:
    """A row a disk; in 80 columns there is room for the serial, and `--json` has the WWN too."""
    table = narrow("disk", "size", "bus", "serial", "holds", "used by")
    for disk in disks:
        holds = shown(disk.contents) if isinstance(disk.contents, Unknown) else kinds(disk)
        table.add_row(
            disk.path,
            f"{disk.size_bytes / GB:.1f} GB",
            shown(disk.transport),
            shown(disk.serial),
            holds,
            "; ".join(disk.users) or "-",
        )
    return table


def kinds(disk: Disk) -> str:
    """What is on it, in words."""
    return ", ".join(one.kind for one in disk.contents if isinstance(one, Content)) or "nothing"


def nic_table(nics: tuple[Nic, ...]) -> Table:
    """A row a NIC."""
    table = narrow("NIC", "MAC", "driver", "speed", "carrier", "addresses")
    for nic in nics:
        table.add_row(
            nic.name,
            nic.mac,
            shown(nic.driver),
            shown(nic.speed_mbps),
            shown(nic.carrier),
            ", ".join(str(address) for address in nic.addresses) or "-",
        )
    return table


def narrow(*columns: str, firm: int = FIRM_COLUMNS) -> Table:
    """A table that folds what is too wide, and cuts nothing off: half a serial is none."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place < firm, overflow="fold")
    return table
