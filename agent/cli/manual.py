# SPDX-License-Identifier: Apache-2.0
"""`bms-agent man`, `completion` and `version`: what the command says of itself, made of the tree of its commands."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from json import dumps
from typing import Annotated, Any

import typer

from agent.cli.exits import EXIT_STATUSES
from agent.cli.lazy import walk

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
    from agent.cli import app

    typer.echo("\n".join(page(typer.main.get_command(app), __version__)))


def page(command: Any, version: str) -> Iterator[str]:
    """In man(7)'s language."""
    yield f'.TH BMS\\-AGENT 1 "" "bms\\-agent {roff(version)}"'
    yield from (".SH NAME", "bms\\-agent \\- the host agent of a bare\\-metal cloud")
    yield from (".SH SYNOPSIS", ".B bms\\-agent", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]")
    yield from (".SH DESCRIPTION", roff(DESCRIPTION))
    yield ".SH COMMANDS"
    for path, one in walk(command):
        if path:
            yield from section(path, one)
    told = {str(status): meaning for status, meaning in EXIT_STATUSES.items()}
    for title, items in (("EXIT STATUS", told), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        yield f".SH {title}"
        for name, meaning in items.items():
            yield from (".TP", f".B {roff(name)}", roff(meaning))


def section(path: tuple[str, ...], command: Any) -> Iterator[str]:
    """One command: its synopsis, what it does, its options."""
    context = typer.Context(command, info_name=" ".join(("bms-agent", *path)))
    yield f".SS {roff(' '.join((context.info_name or '', *command.collect_usage_pieces(context))))}"
    yield from (roff(part) for part in (command.help or "").replace("\b", "").split("\n\n"))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield from (".TP", f".B {roff(record[0])}", roff(record[1]))


def roff(text: str) -> str:
    """A text as one line, with nothing in it that man(7) would take for its own."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    line = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in line)
    return f"\\&{line}" if line.startswith((".", "'")) else line
