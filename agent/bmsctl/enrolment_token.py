# SPDX-License-Identifier: Apache-2.0
"""`bmsctl enrolment-token`: machines that show one are approved without anybody standing beside them."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import EnrolmentToken, NewEnrolmentToken
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, rows, show

app = typer.Typer(no_args_is_help=True, help="Enrolment tokens: machines that show one need no approval.")
PATH = "/v1/enrolment-tokens"


@app.command("create")
def create(
    context: typer.Context,
    mac: Annotated[str | None, typer.Option(help="for the one machine that has this NIC")] = None,
    rack: Annotated[str | None, typer.Option(help="a name that its machines bear from then on")] = None,
    machines: Annotated[int, typer.Option(help="how many may come by it")] = 1,
    hours: Annotated[int, typer.Option(help="until it expires")] = 24,
    json: Json = False,
) -> None:
    """Create a token for the kernel command line: bms.token=TOKEN. This is the one time that it is shown."""
    body = {"mac": mac, "rack": rack, "machines": machines, "hours": hours}
    answer = client_of(context).post(PATH, body)
    show(answer, json, read(NewEnrolmentToken, answer).token)


@app.command("list")
def list_tokens(context: typer.Context, json: Json = False) -> None:
    """Every token, without what makes it one."""
    answer = client_of(context).get(PATH)
    tokens = read(tuple[EnrolmentToken, ...], answer)
    columns = ("ID", "MAC", "RACK", "LEFT", "BY", "EXPIRES", "REVOKED")
    lines = ((t.id, t.mac, t.rack, t.left, t.created_by, t.expires_at, t.revoked_at) for t in tokens)
    table = rows(columns, lines, spare=("BY", "MAC", "RACK"))
    show(answer, json, table)


@app.command("revoke")
def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(help="its id: see bmsctl enrolment-token list")],
    json: Json = False,
) -> None:
    """Let nobody come by it any more; who came stays."""
    answer = client_of(context).delete(f"{PATH}/{escaped(token)}")
    show(answer, json, f"enrolment token {token} revoked")
