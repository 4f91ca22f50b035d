# SPDX-License-Identifier: Apache-2.0
"""`bmsctl subnet`: ranges of a VPC, from which servers get their addresses."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import Subnet
from agent.bmsctl.client import escaped, read
from agent.bmsctl.show import Json, client_of, facts, rows, show

app = typer.Typer(no_args_is_help=True, help="Subnets: ranges of a VPC's addresses.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    vpc: Annotated[str, typer.Option(help="its VPC, by id or name")],
    cidr: Annotated[str, typer.Option(help="such as 10.1.0.0/24")],
    gateway: Annotated[str | None, typer.Option(help="left out, it is the first address")] = None,
    dns: Annotated[list[str] | None, typer.Option(help="a name server; may be given again")] = None,
    mtu: Annotated[int | None, typer.Option(help="of its servers' NICs")] = None,
    dhcp: Annotated[bool, typer.Option(help="addresses come from a DHCP server of the network's own")] = False,
    json: Json = False,
) -> None:
    """Create a subnet."""
    body = {
        "name": name,
        "vpc": vpc,
        "cidr": cidr,
        "gateway": gateway,
        "dns": dns or [],
        "mtu": mtu,
        "dhcp": dhcp,
    }
    answer = client_of(context).post("/v1/subnets", body)
    show(answer, json, f"subnet {name} created")


@app.command("list")
def list_subnets(context: typer.Context, json: Json = False) -> None:
    """Every subnet."""
    answer = client_of(context).get("/v1/subnets")
    subnets = read(tuple[Subnet, ...], answer)
    columns = ("NAME", "CIDR", "GATEWAY", "DNS", "DHCP")
    show(answer, json, rows(columns, ((s.name, s.cidr, s.gateway, s.dns, s.dhcp) for s in subnets)))


@app.command("show")
def show_subnet(context: typer.Context, subnet: str, json: Json = False) -> None:
    """One subnet, by id or name."""
    answer = client_of(context).get(f"/v1/subnets/{escaped(subnet)}")
    show(answer, json, facts(dict(read(Subnet, answer))))


@app.command("delete")
def delete(context: typer.Context, subnet: str, json: Json = False) -> None:
    """Delete a subnet without servers."""
    answer = client_of(context).delete(f"/v1/subnets/{escaped(subnet)}")
    show(answer, json, f"subnet {subnet} deleted")
