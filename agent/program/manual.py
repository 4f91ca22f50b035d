# SPDX-License-Identifier: Apache-2.0
"""A manual page (man(7)), made of the tree of a program's commands: so that no option can be missing from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True)
class About:
    """What a program's commands do not say of it. `line` follows the name; the rest are names with their meanings."""

    name: str
    line: str
    description: str
    statuses: Mapping[str, str]
    environment: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


def page(command: Any, about: About, version: str) -> Iterator[str]:
    """Line by line."""
    name = roff(about.name)
    yield f'.TH {name.upper()} 1 "" "bms\\-agent {roff(version)}"'
    yield from (".SH NAME", f"{name} \\- {roff(about.line)}")
    yield from (".SH SYNOPSIS", f".B {name}", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]")
    yield from (".SH DESCRIPTION", roff(about.description))
    for path, one in walk(command):
        context = typer.Context(one, info_name=" ".join((about.name, *path)))
        yield from section(context) if path else (".SH OPTIONS", *options(context), ".SH COMMANDS")
    sections = {"EXIT STATUS": about.statuses, "ENVIRONMENT": about.environment, "FILES": about.files}
    for title, items in sections.items():
        if items:
            yield f".SH {title}"
        for item, meaning in items.items():
            yield from (".TP", f".B {roff(item)}", roff(meaning))


def section(context: typer.Context) -> Iterator[str]:
    """One command: its synopsis, what it does, its options."""
    command = context.command
    yield f".SS {roff(' '.join((context.info_name or '', *command.collect_usage_pieces(context))))}"
    yield from (roff(part) for part in (command.help or "").replace("\b", "").split("\n\n"))
    yield from options(context)


def options(context: typer.Context) -> Iterator[str]:
    """Of a command, and its arguments, as its help tells them."""
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield from (".TP", f".B {roff(record[0])}", roff(record[1]))


def roff(text: str) -> str:
    """A text as one line, with nothing in it that man(7) would take for its own."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    line = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in line)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a tree that is not hidden, groups before what is in them, each with its words."""
    yield path, command
    if isinstance(command, TyperGroup):
        context: Any = None
        for name in command.list_commands(context):
            below: Any = command.get_command(context, name)
            if not below.hidden:
                yield from walk(below, (*path, name))
