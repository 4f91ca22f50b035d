# SPDX-License-Identifier: Apache-2.0
"""`bms-agent diagnose`: what is wrong with this machine, and what to do about it; `diagnose bundle` packs it all, and
`diagnose capture` makes a recording of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import source
from agent.cli.exits import SOMETHING_WRONG
from agent.errors import HostError, InputError
from agent.program.wait import waiting

if TYPE_CHECKING:
    from rich.console import Console

    from agent.host.doors import Host
    from agent.model.finding import Diagnosis
    from agent.model.protocol import Admission

app = typer.Typer(help="Say what is wrong with this machine, why, and what to do about it.")
PERIOD_S = 3.0
MIB = 1024 * 1024
PACKED = ".tar.zst"
BUNDLE = "bms-agent-bundle.tar.gz"


@app.callback(invoke_without_command=True)
def diagnose(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="all of it, as JSON; with --watch a line each time")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="again and again; in a pipe, when something changed")] = False,
    lldp: Annotated[float, typer.Option(min=0, help="seconds to listen to switches, which speak every 30 s")] = 0.0,
) -> None:
    """Say what is wrong with this machine, why, and what to do about it.

    It changes nothing, needs neither daemon nor network, and takes two seconds.
    """
    if context.invoked_subcommand is not None:
        return
    from agent.cli.machine import host as open_host
    from agent.cli.machine import must_be_this
    from agent.cli.terminal import terminal
    from agent.diagnose import diagnose as look

    host = open_host()
    console = terminal(soft_wrap=True)
    if watch:
        must_be_this("watching")
        watched(host, console, lldp, as_json=json)
        return
    with waiting("looking around", lldp):
        found = look(host, listen_s=lldp)
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        draw(found, console)
    if found.is_bad:
        raise typer.Exit(SOMETHING_WRONG)


def watched(host: Host, console: Console, listen_s: float, *, as_json: bool) -> None:
    """Until the keyboard says so. On a terminal the screen is drawn anew; elsewhere only news is told."""
    from threading import Event

    from agent.diagnose import diagnose as look

    before: object = None
    while True:
        found = look(host, listen_s=listen_s)
        if as_json and found.findings != before:
            typer.echo(found.model_dump_json())
        elif console.is_terminal and not as_json:
            console.clear()
            draw(found, console)
        elif found.findings != before:
            draw(found, console)
        before = found.findings
        host.clock.wait(Event(), PERIOD_S)


def draw(found: Diagnosis, console: Console) -> None:
    """In colour and folded on a terminal."""
    from rich.text import Text

    from agent.diagnose.text import lines

    for line in lines(found, console.width if console.is_terminal else None):
        console.print(Text(line.text, style=line.style))


@app.command("bundle")
def bundle(
    to: Annotated[str | None, typer.Option("--to", help=f"a file ({BUNDLE}), or a URL to PUT it to")] = None,
    upload: Annotated[bool, typer.Option("--upload", help="to this machine's controller: bmsctl node bundle")] = False,
    limit_mib: Annotated[int, typer.Option(min=1, max=1024, help="its size at most, in MiB")] = 16,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    plan: Annotated[bool, typer.Option("--plan", help="only list what would be in it")] = False,
    json: Annotated[bool, typer.Option("--json", help="its manifest, as JSON")] = False,
) -> None:
    """Pack what helps whoever is not here: findings, inventory, network, logs. Secrets are taken out.

    It is made in memory, never larger than its limit: what is too large loses its oldest lines.
    """
    from agent.cli.machine import host as open_host
    from agent.cli.machine import own_files
    from agent.diagnose.bundle import packed
    from agent.model.url import named

    if upload and to is not None:
        raise InputError("reading the command line", "--to and --upload are two", hint="Say which one is meant.")
    host = open_host()
    admitted = speaker(host) if upload else None
    to = to or BUNDLE
    with waiting("packing"):
        archive, manifest = packed(host, limit_mib * MIB)
        if admitted is not None:
            to = admitted.controller_url if plan else uploaded(host, admitted, archive)
        elif not plan and "://" in to:
            host.fetch.send(to, [archive], access=source.access(bearer, user, password, authority, proxy))
        elif not plan:
            own_files().write(str(Path(to).absolute()), archive, mode=0o600)
    if json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    for one in manifest.files:
        cut = f", of {one.whole_bytes}" if one.whole_bytes > one.size_bytes else ""
        typer.echo(f"{one.size_bytes:10} {one.name}{cut}")
    typer.echo(f"{len(archive)} bytes {'would go' if plan else 'are'} to {named(to) if '://' in to else to}")


def speaker(host: Host) -> Admission:
    """As whom this machine speaks to its controller. Raises as `admission` does."""
    from agent.cli.machine import must_be_this
    from agent.cli.resident import settings_of
    from agent.diagnose.look.itself import place
    from agent.link.bundles import admission

    must_be_this("sending a bundle")
    is_ramdisk = place(host).mode == "ramdisk"
    return admission(host.files, settings_of(host, with_cmdline=is_ramdisk), is_ramdisk=is_ramdisk)


def uploaded(host: Host, admitted: Admission, archive: bytes) -> str:
    """Where it is then, as a URL. Raises as `upload` does."""
    from agent.cli.resident import settings_of
    from agent.diagnose.look.itself import place
    from agent.link.bundles import key_of, upload
    from agent.link.relay import socket_of

    is_ramdisk = place(host).mode == "ramdisk"
    settings = settings_of(host, with_cmdline=is_ramdisk)
    key = key_of(host, settings, is_ramdisk=is_ramdisk)
    name = upload(admitted, archive, key, socket_of(host.files, str(settings.link_socket))).name
    return f"{admitted.controller_url.rstrip('/')}/v1/nodes/{admitted.node_id}/bundles/{name}"


@app.command("capture")
def capture(
    to: Annotated[str, typer.Option("--to", help="a directory that is made, or a file: NAME.tar.zst")],
    plan: Annotated[bool, typer.Option("--plan", help="only tell what would be in it")] = False,
    json: Annotated[bool, typer.Option("--json", help="what is in it, as JSON")] = False,
) -> None:
    """Record this machine: what its hardware answers, under other names. `bms-agent --machine` looks at it elsewhere.

    Serials, WWNs, MACs, addresses, UUIDs and host names are replaced, each by the same one throughout; no contents of
    disks, no settings and no logs are in it.
    """
    from secrets import token_bytes

    from agent import __version__
    from agent.cli.machine import host as open_host
    from agent.diagnose.capture import capture as record
    from agent.host.fake.recorded import packed

    if Path(to).exists():
        raise InputError(f"recording this machine in {to}", "it is there already", hint="Give a name that is new.")
    host = open_host()
    origin = f"recorded by bms-agent {__version__} on {host.clock.now():%Y-%m-%d}"
    with waiting("asking the hardware"):
        machine, names = record(host, origin, token_bytes())
        files = {"": packed(machine)} if to.endswith(PACKED) else machine.written()
    if not plan:
        save(files, Path(to).absolute())
    sizes = {str(Path(to, name)): len(content) for name, content in files.items()}
    if json:
        typer.echo(dumps({"files": sizes, "names_replaced": names, "failed": machine.record.failures}, indent=2))
        return
    for path, size in sizes.items():
        typer.echo(f"{size:10} {path}")
    typer.echo(
        f"{names} names {'would be' if plan else 'are'} replaced; look at it: bms-agent --machine {to} inventory"
    )


def save(files: Mapping[str, bytes], to: Path) -> None:
    """All of them, or none: half of a recording would stand in the way of the next. Raises `HostError`."""
    from agent.cli.machine import own_files

    try:
        for name, content in files.items():
            own_files().write(str(to / name), content)
    except HostError:
        with suppress(HostError):  # it was not even begun
            own_files().below(str(to.parent)).remove(to.name)
        raise
