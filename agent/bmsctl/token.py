# SPDX-License-Identifier: Apache-2.0
"""`bmsctl token`: what a user calls the controller with."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import NewToken, Token
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, rows, show

app = typer.Typer(no_args_is_help=True, help="Tokens: what users call with.")
SPARE = ("USED", "NOTE", "ROLE")


@app.command("create")
def create(
    context: typer.Context,
    user: str,
    role: Annotated[str | None, typer.Option(help="a lower one than the user's")] = None,
    days: Annotated[int, typer.Option(help="until it expires")] = 90,
    note: Annotated[str, typer.Option(help="what it is for")] = "",
    json: Json = False,
) -> None:
    """Create a token. This is the one time that it is shown."""
    body = {"user": user, "role": role, "days": days, "note": note}
    answer = client_of(context).post("/v1/tokens", body)
    token = read(NewToken, answer)
    show(answer, json, token.token)


@app.command("list")
def list_tokens(context: typer.Context, json: Json = False) -> None:
    """Every token, without what makes it one."""
    answer = client_of(context).get("/v1/tokens")
    tokens = read(tuple[Token, ...], answer)
    columns = ("ID", "USER", "ROLE", "EXPIRES", "USED", "REVOKED", "NOTE")
    table = rows(
        columns, ((t.id, t.user, t.role, t.expires_at, t.used_at, t.revoked_at, t.note) for t in tokens), SPARE
    )
    show(answer, json, table)


@app.command("revoke")
def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(help="its id: see bmsctl token list")],
    json: Json = False,
) -> None:
    """Make a token worth nothing, from now on."""
    answer = client_of(context).delete(f"/v1/tokens/{escaped(token)}")
    show(answer, json, f"token {token} of {read(Token, answer).user} revoked")
