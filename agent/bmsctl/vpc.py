# SPDX-License-Identifier: Apache-2.0
"""`bmsctl vpc`: private networks."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import Vpc
from agent.bmsctl.client import escaped, read
from agent.bmsctl.show import Json, client_of, facts, rows, show

app = typer.Typer(no_args_is_help=True, help="VPCs: private networks, which hold subnets.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    cidr: Annotated[str, typer.Option(help="its whole range of addresses")] = "10.0.0.0/8",
    json: Json = False,
) -> None:
    """Create a VPC."""
    answer = client_of(context).post("/v1/vpcs", {"name": name, "cidr": cidr})
    show(answer, json, f"VPC {name} created")


@app.command("list")
def list_vpcs(context: typer.Context, json: Json = False) -> None:
    """Every VPC."""
    answer = client_of(context).get("/v1/vpcs")
    show(answer, json, rows(("NAME", "CIDR", "ID"), ((v.name, v.cidr, v.id) for v in read(tuple[Vpc, ...], answer))))


@app.command("show")
def show_vpc(context: typer.Context, vpc: str, json: Json = False) -> None:
    """One VPC, by id or name."""
    answer = client_of(context).get(f"/v1/vpcs/{escaped(vpc)}")
    show(answer, json, facts(dict(read(Vpc, answer))))


@app.command("delete")
def delete(context: typer.Context, vpc: str, json: Json = False) -> None:
    """Delete a VPC without subnets."""
    answer = client_of(context).delete(f"/v1/vpcs/{escaped(vpc)}")
    show(answer, json, f"VPC {vpc} deleted")
