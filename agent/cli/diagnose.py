# SPDX-License-Identifier: Apache-2.0
"""`bms-agent diagnose`: what is wrong with this machine, and what to do about it; `diagnose bundle` packs it all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import source
from agent.cli.exits import SOMETHING_WRONG

if TYPE_CHECKING:
    from rich.console import Console

    from agent.host.doors import Host
    from agent.model.finding import Diagnosis

app = typer.Typer(help="Say what is wrong with this machine, why, and what to do about it.")
PERIOD_S = 3.0
MIB = 1024 * 1024


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
    from agent.cli.terminal import terminal
    from agent.diagnose import diagnose as look
    from agent.host.real import host as open_host

    host = open_host()
    console = terminal(soft_wrap=True)
    if watch:
        watched(host, console, lldp, as_json=json)
        return
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
    to: Annotated[str, typer.Option("--to", help="a file, or a URL to PUT it to")] = "bms-agent-bundle.tar.gz",
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
    from agent.diagnose.bundle import packed
    from agent.host.real import host as open_host
    from agent.model.url import named

    host = open_host()
    archive, manifest = packed(host, limit_mib * MIB)
    if not plan and "://" in to:
        host.fetch.send(to, [archive], access=source.access(bearer, user, password, authority, proxy))
    elif not plan:
        host.files.write(str(Path(to).absolute()), archive, mode=0o600)
    if json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    for one in manifest.files:
        cut = f", of {one.whole_bytes}" if one.whole_bytes > one.size_bytes else ""
        typer.echo(f"{one.size_bytes:10} {one.name}{cut}")
    typer.echo(f"{len(archive)} bytes {'would go' if plan else 'are'} to {named(to) if '://' in to else to}")
