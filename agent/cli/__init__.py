# SPDX-License-Identifier: Apache-2.0
"""`bms-agent`: the operator's command, and the entry of both resident modes. A dispatch table; one file a noun."""

from __future__ import annotations

import sys

import typer

from agent import __version__
from agent.cli import boot, disk, image, inventory, network, raid, resident
from agent.cli.controller import controller as run_controller
from agent.cli.logs import configure
from agent.errors import AgentError

app = typer.Typer(
    name="bms-agent",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The host agent of a bare-metal cloud.",
)
app.command("ramdisk")(resident.ramdisk)
app.command("service")(resident.service)
app.command("inventory")(inventory.show)
app.add_typer(image.app, name="image")
app.add_typer(disk.app, name="disk")
app.add_typer(raid.app, name="raid")
app.add_typer(boot.app, name="boot")
app.add_typer(network.app, name="network")
app.command("controller")(run_controller)


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run, and turn an error into its text and its exit status."""
    configure("info", "text")  # what waits and tries again says so, not among the results
    try:
        app()
    except AgentError as error:
        sys.stderr.write(said(error))
        sys.exit(error.exit_status)


def said(error: AgentError) -> str:
    """An error as an operator reads it: code, what failed, why, and what to do."""
    lines = [f"{error.code}: {error}"]
    if error.causes():
        lines.append(f"  because: {error.causes()}")
    return "\n".join([*lines, f"  to do:   {error.hint}"]) + "\n"
