# SPDX-License-Identifier: Apache-2.0
"""`bms-agent`: the operator's command, and the entry of both resident modes. A dispatch table; one file a noun.

A row's module is imported when its command is asked for; nothing of the agent is imported here but its errors.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from agent.cli.lazy import Commands, Row
from agent.errors import AgentError
from agent.program.streams import streams, tell

PROGRAM = "bms-agent"
COMPLETE = "_BMS_AGENT_COMPLETE"
ROWS = {
    "ramdisk": Row("agent.cli.resident:ramdisk", "Take this machine in: what the PXE-booted ramdisk runs."),
    "service": Row("agent.cli.resident:service", "Stay with a deployed server: what its OS runs."),
    "link": Row(
        "agent.cli.resident:link", "Speak to the controller for ramdisk and service: what systemd runs beside them."
    ),
    "writer": Row(
        "agent.cli.resident:writer", "Fetch and write one image for ramdisk and service: what systemd runs beside them."
    ),
    "api": Row("agent.cli.resident:api", "Be called by Ironic for the ramdisk: what systemd runs beside it."),
    "inventory": Row(
        "agent.cli.inventory:show",
        "Show this machine's hardware: all that it tells of itself, without changing anything.",
    ),
    "status": Row("agent.cli.status:status", "Show how the agent on this machine is: whom it serves, what it does."),
    "diagnose": Row("agent.cli.diagnose:app", "Say what is wrong with this machine, why, and what to do about it."),
    "validate": Row("agent.cli.validate:validate", "Test this machine's hardware, and judge what is found."),
    "image": Row("agent.cli.image:app", "Images."),
    "disk": Row("agent.cli.disk:app", "Disks."),
    "raid": Row("agent.cli.raid:app", "Software RAID."),
    "boot": Row("agent.cli.boot:app", "Boot entries of UEFI firmware."),
    "network": Row("agent.cli.network:app", "The network of this machine."),
    "controller": Row("agent.cli.controller:app", "Run the embedded controller."),
    "completion": Row("agent.cli.manual:completion", "Print what completes this command in a shell."),
    "man": Row("agent.cli.manual:man", "Print the manual page."),
    "version": Row("agent.cli.manual:version", "Print the version."),
}


class Root(Commands):
    """All commands."""

    rows = ROWS


app = typer.Typer(name=PROGRAM, cls=Root, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def without_colours(asked: bool) -> None:
    """NO_COLOR (no-color.org) is what everything that draws asks for, tools included."""
    if asked:
        os.environ["NO_COLOR"] = "1"


NoColour = Annotated[
    bool,
    typer.Option(
        "--no-color", is_eager=True, callback=without_colours, help="plain text; so does NO_COLOR in the environment"
    ),
]


Recorded = Annotated[
    str | None,
    typer.Option("--machine", metavar="DIR", help="look at a recorded machine (diagnose capture), not at this one"),
]


@app.callback(no_args_is_help=True, epilog="Exit statuses, and all of this on one page: bms-agent man")
def root(context: typer.Context, no_color: NoColour = False, machine: Recorded = None) -> None:
    """The host agent of a bare-metal cloud."""
    from agent.cli.machine import choose

    choose(machine, context.invoked_subcommand)
    if context.invoked_subcommand not in (
        "ramdisk",
        "service",
        "link",
        "writer",
        "api",
    ):  # those set up their logs themselves
        from agent.cli.logs import configure

        configure("info", "text")  # what waits and tries again says so, not among the results


def main() -> None:
    """Run, and turn an error into its text and its exit status."""
    if COMPLETE in os.environ:
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()  # teaches Typer the shells
    try:
        with streams():
            app(prog_name=PROGRAM)
    except AgentError as error:
        tell(said(error))
        sys.exit(error.exit_status)


def said(error: AgentError) -> str:
    """An error as an operator reads it: code, what failed, why, and what to do."""
    lines = [f"{error.code}: {error}"]
    if error.causes():
        lines.append(f"  because: {error.causes()}")
    return "\n".join([*lines, f"  to do:   {error.hint}"]) + "\n"
