# SPDX-License-Identifier: Apache-2.0
"""`bms-agent validate --flavor`: this machine held against a flavor, field by field."""

from __future__ import annotations

from json import dumps
from pathlib import Path

import typer

from agent.cli.exits import SOMETHING_WRONG
from agent.cli.given import given
from agent.cli.inventory import narrow
from agent.cli.terminal import terminal
from agent.host.doors import Host
from agent.inventory import take
from agent.model.flavor import Comparison, FlavorFile, compared


def compare(host: Host, flavor: Path, *, as_json: bool) -> None:
    """Raises `InputError` for a file that is no flavor; the exit status says whether all fits."""
    needs = given(flavor, FlavorFile, "Give a flavor, as bmsctl flavor show NAME --json prints it.")
    found = compared(take(host), needs)
    if as_json:
        typer.echo(dumps([one.model_dump(mode="json") for one in found], indent=2))
    else:
        draw(found)
    if not all(one.fits for one in found):
        raise typer.Exit(SOMETHING_WRONG)


def draw(found: tuple[Comparison, ...]) -> None:
    """A line a field."""
    table = narrow("", "field", "flavor", "this machine", firm=2)
    for one in found:
        said = "match" if one.fits else "mismatch" if one.is_known else "unknown"
        table.add_row(said, one.field, one.wanted, one.found, style=None if one.fits else "bold red")
    terminal().print(table)
