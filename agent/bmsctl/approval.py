# SPDX-License-Identifier: Apache-2.0
"""`bmsctl approval`: orders that destroy data, and wait for a second person."""

from __future__ import annotations

from datetime import datetime

import typer

from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, rows, show
from agent.model.frozen import Reply

app = typer.Typer(no_args_is_help=True, help="Approvals: orders that destroy data, and wait for a second person.")
PATH = "/v1/approvals"
SPARE = ("AT", "PROJECT", "EXPIRES")


class Approval(Reply):
    """One that waits."""

    id: str
    order: str
    name: str
    project: str | None
    asked_by: str
    asked_at: datetime
    expires_at: datetime


@app.command("list")
def list_approvals(context: typer.Context, json: Json = False) -> None:
    """What waits, the oldest first."""
    answer = client_of(context).get(PATH)
    columns = ("ID", "ORDER", "NAME", "PROJECT", "ASKED BY", "AT", "EXPIRES")
    found = read(tuple[Approval, ...], answer)
    show(
        answer,
        json,
        rows(columns, ((a.id, a.order, a.name, a.project, a.asked_by, a.asked_at, a.expires_at) for a in found), SPARE),
    )


@app.command("approve")
def approve(context: typer.Context, approval: str, json: Json = False) -> None:
    """Give an order that somebody else asked for."""
    answer = client_of(context).post(f"{PATH}/{escaped(approval)}/approve")
    show(answer, json, f"approved: job {answer['job_id']}")


@app.command("refuse")
def refuse(context: typer.Context, approval: str, json: Json = False) -> None:
    """Let an order that waits not be given."""
    answer = client_of(context).post(f"{PATH}/{escaped(approval)}/refuse")
    show(answer, json, f"refused: {answer['order']} {answer['name']}")
