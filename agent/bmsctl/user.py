# SPDX-License-Identifier: Apache-2.0
"""`bmsctl user`: who may call the controller, and do what."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import User
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, rows, show

app = typer.Typer(
    no_args_is_help=True, help="Users: people and programs, with a role, in a project or the whole cloud."
)


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    role: Annotated[str, typer.Option(help="viewer, operator or admin")] = "viewer",
    project: Annotated[str | None, typer.Option(help="what it is kept to; left out, it is the whole cloud")] = None,
    json: Json = False,
) -> None:
    """Create a user; bmsctl token create makes what it calls with."""
    answer = client_of(context).post("/v1/users", {"name": name, "role": role, "project": project})
    user = read(User, answer)
    show(answer, json, f"user {user.name} created: {user.role} of {user.whereabouts}")


@app.command("list")
def list_users(context: typer.Context, json: Json = False) -> None:
    """Every user."""
    answer = client_of(context).get("/v1/users")
    users = read(tuple[User, ...], answer)
    show(answer, json, rows(("NAME", "ROLE", "OF"), ((user.name, user.role, user.whereabouts) for user in users)))


@app.command("delete")
def delete(context: typer.Context, name: str, json: Json = False) -> None:
    """Delete a user with all tokens; what the user made stays."""
    answer = client_of(context).delete(f"/v1/users/{escaped(name)}")
    show(answer, json, f"user {name} deleted, with all tokens")
