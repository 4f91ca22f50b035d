# SPDX-License-Identifier: Apache-2.0
"""`bmsctl audit`: who did what."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import Audited
from agent.bmsctl.client import read
from agent.bmsctl.show import Json, client_of, rows, show

app = typer.Typer(no_args_is_help=True, help="The audit trail: every call that changed something, or was refused to.")


@app.callback()
def audit() -> None:
    """The audit trail: every call that changed something, or was refused to."""


@app.command("list")
def list_entries(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="how many")] = 50,
    before: Annotated[str | None, typer.Option(help="id of an entry: those older than it")] = None,
    json: Json = False,
) -> None:
    """The newest first."""
    query = {"limit": str(limit)} | ({"before": before} if before else {})
    answer = client_of(context).get("/v1/audit", **query)
    entries = read(tuple[Audited, ...], answer)
    columns = ("AT", "WHO", "CALL", "NAME", "OUTCOME")
    told = ((e.at, who(e), f"{e.method} {e.path}", e.subject, e.refused or "done") for e in entries)
    table = rows(columns, told)
    show(answer, json, table)


def who(entry: Audited) -> str:
    """And in which project; role, token and address are in the JSON."""
    return f"{entry.who} in {entry.project}" if entry.project else entry.who
