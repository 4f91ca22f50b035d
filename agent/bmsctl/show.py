# SPDX-License-Identifier: Apache-2.0
"""How answers are shown: tables for people, JSON for programs; and how pairs are typed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from agent.bmsctl.client import Client
from agent.bmsctl.columns import Columns
from agent.errors import InputError
from agent.program.screen import Screen

GOOD = frozenset({"ACTIVE", "available", "active", "UP", "SUCCESS", "On"})
BAD = frozenset({"ERROR", "error", "DOWN", "FAIL", "killed"})
BUSY = frozenset({"BUILD", "REBOOT", "HARD_REBOOT", "deploying", "cleaning", "RUNNING", "INIT", "UNKNOWN", "enroll"})
WIDE = 1000
"""Characters in a line that no terminal shows."""
COMING = frozenset({"queued", "saving"})

Json = Annotated[bool, typer.Option("--json", help="print the answer as JSON")]


def client_of(context: typer.Context) -> Client:
    """The client that `bmsctl` was started with."""
    client = context.obj
    assert isinstance(client, Client)
    return client


def console() -> Console:
    """Where people read; or a program (grep), for which no line has an end unless `COLUMNS` says so."""
    answer = Screen(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not answer.is_terminal and "COLUMNS" not in os.environ:
        answer.width = WIDE
    return answer


def show_json(answer: Any) -> None:
    """For programs."""
    typer.echo(json.dumps(answer, indent=2))


def show(answer: Any, as_json: bool, *shown: RenderableType) -> None:
    """The answer itself, or what a person reads of it."""
    if as_json:
        show_json(answer)
        return
    terminal = console()
    for one in shown:
        terminal.print(one)


def rows(columns: Iterable[str], values: Iterable[Iterable[Any]], spare: tuple[str, ...] = ()) -> Columns:
    """A list; where there is no room for all of it, the columns in `spare` go, the first one first."""
    return Columns(tuple(columns), tuple(tuple(word(value) for value in row) for row in values), spare)


def facts(values: Mapping[str, Any]) -> Table:
    """One thing: a name and a value a line; what is not known is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in values.items():
        if value not in (None, "", ()):
            table.add_row(Text(name, style="bold"), word(value))
    return table


def word(value: Any) -> Text:
    """A value; a state in its colour."""
    match value:
        case None:
            return Text("-", style="dim")
        case bool():
            return Text("yes" if value else "no")
        case tuple() | list():
            return Text("\n".join(str(one) for one in value) or "-")
        case datetime():
            return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"))
    text = str(value)
    style = "green" if text in GOOD else "bold red" if text in BAD else "yellow" if text in BUSY | COMING else ""
    return Text(text, style=style, overflow="fold")


def pairs(words: list[str], option: str) -> dict[str, str]:
    """KEY=VALUE, KEY=VALUE … as typed. Raises `InputError`."""
    split = [word.partition("=") for word in words]
    wrong = next((word for word, (_, sign, _) in zip(words, split, strict=True) if not sign), None)
    if wrong is not None:
        raise InputError(f"reading {option}", f"{wrong} is not KEY=VALUE", hint="See the command's --help.")
    return {key: value for key, _, value in split}


def gigabytes(size_bytes: int | None) -> str | None:
    """In GB of 10^9 bytes."""
    return None if size_bytes is None else f"{size_bytes / 1000**3:.1f} GB"
