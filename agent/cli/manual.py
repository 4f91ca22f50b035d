# SPDX-License-Identifier: Apache-2.0
"""`bms-agent man`, `completion` and `version`: what the command says of itself, made of the tree of its commands."""

from __future__ import annotations

from enum import StrEnum
from json import dumps
from typing import Annotated

import typer

from agent.cli.exits import EXIT_STATUSES

DESCRIPTION = (
    "bms-agent runs on every server of a bare-metal cloud: as the ramdisk that a server boots over the network, as the "
    "service in its installed system, and as the operator's command. Every command that shows something has --json, "
    "and every command that changes something has --plan, which shows what would be done and touches nothing."
)
ENVIRONMENT = {
    "NO_COLOR": "If it is set, nothing is coloured.",
    "BMS_AGENT_*": "Settings, over those of agent.toml: BMS_AGENT_CONTROLLER, BMS_AGENT_IMAGE_CACHE …",
}
FILES = {
    "/etc/bms-agent/agent.toml": "Settings.",
    "/var/lib/bms-agent": "What the service keeps over reboots.",
    "/run/bms-agent": "What it keeps until then, and all that the ramdisk keeps.",
}


class Shell(StrEnum):
    """Those that Typer has a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def version(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Print the version."""
    from agent import __version__

    typer.echo(dumps({"version": __version__}) if json else __version__)


def completion(shell: Annotated[Shell, typer.Argument(help="for this shell")]) -> None:
    """Print what completes this command in a shell.

    bash: bms-agent completion bash > /etc/bash_completion.d/bms-agent
    """
    from typer.completion import get_completion_inspect_parameters, shell_complete

    from agent.cli import COMPLETE, PROGRAM, app

    get_completion_inspect_parameters()
    raise typer.Exit(shell_complete(typer.main.get_command(app), {}, PROGRAM, COMPLETE, f"source_{shell}"))


def man() -> None:
    """Print the manual page.

    To read it at once: bms-agent man | man -l -
    """
    from agent import __version__
    from agent.cli import PROGRAM, app
    from agent.program.manual import About, page

    told = {str(status): meaning for status, meaning in EXIT_STATUSES.items()}
    about = About(PROGRAM, "the host agent of a bare-metal cloud", DESCRIPTION, told, ENVIRONMENT, FILES)
    typer.echo("\n".join(page(typer.main.get_command(app), about, __version__)))
