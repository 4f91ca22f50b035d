# SPDX-License-Identifier: Apache-2.0
"""Commands that are imported when they are asked for: `--help`, which names them all, imports none.

In: a table of rows, name by name. Out: Typer's group over them. What a row says of its command must be what the command
says of itself; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from agent.cli.unswept import unswept


@dataclass(frozen=True)
class Row:
    """Where a command is (`module:name`; a function, or a Typer of its own), and what it is for, in one line."""

    where: str
    line: str

    def load(self, name: str) -> Any:
        """The command."""
        module, _, attribute = self.where.partition(":")
        with unswept():
            found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            found.rich_markup_mode = None
            return whole_lines(typer.main.get_group(found))
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        return typer.main.get_command(alone)


def whole_lines(group: TyperGroup) -> TyperGroup:
    """The same, whose help says of each command all that its first paragraph says: it is cut otherwise."""
    for each in group.commands.values():
        each.short_help = each.short_help or " ".join((each.help or "").partition("\n\n")[0].split())
    return group


class Commands(TyperGroup):
    """A group whose commands are rows."""

    rows: Mapping[str, Row] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """In the table's order."""
        return list(self.rows)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imported now, and kept: it is also what a misspelt name is compared with."""
        known: dict[str, Any] = self.commands or dict.fromkeys(self.rows)  # type: ignore[assignment]
        self.commands = known
        if cmd_name in self.rows and known[cmd_name] is None:
            known[cmd_name] = self.rows[cmd_name].load(cmd_name)
        return known.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.line) for name, row in self.rows.items()])
