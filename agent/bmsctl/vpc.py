# SPDX-License-Identifier: Apache-2.0
"""`bmsctl vpc`: private networks."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.networks import Vpc
from agent.bmsctl.show import Json, client_of, facts, rows, show

app = typer.Typer(no_args_is_help=True, help="VPCs: private networks, which hold subnets.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    cidr: Annotated[str, typer.Option(help="its whole range of addresses")] = "10.0.0.0/8",
    segment: Annotated[
        str, typer.Option(help="how it is told apart on the wire: flat (a physical NIC each), vlan or vxlan")
    ] = "flat",
    segment_id: Annotated[int | None, typer.Option(help="VLAN id or VNI; left out, a free one")] = None,
    json: Json = False,
) -> None:
    """Create a VPC."""
    body = {"name": name, "cidr": cidr, "segment": segment, "segment_id": segment_id}
    answer = client_of(context).post("/v1/vpcs", body)
    show(answer, json, f"VPC {name} created: {wire(read(Vpc, answer))}")


def wire(vpc: Vpc) -> str:
    """How it is told apart."""
    return f"{vpc.segment} {vpc.segment_id}" if vpc.segment_id is not None else vpc.segment


@app.command("list")
def list_vpcs(context: typer.Context, json: Json = False) -> None:
    """Every VPC."""
    answer = client_of(context).get("/v1/vpcs")
    vpcs = read(tuple[Vpc, ...], answer)
    show(answer, json, rows(("NAME", "CIDR", "SEGMENT", "ID"), ((v.name, v.cidr, wire(v), v.id) for v in vpcs)))


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
