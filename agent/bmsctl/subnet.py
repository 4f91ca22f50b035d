# SPDX-License-Identifier: Apache-2.0
"""`bmsctl subnet`: ranges of a VPC, from which servers get their addresses."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.networks import Subnet
from agent.bmsctl.show import Json, client_of, facts, pairs, rows, show
from agent.errors import InputError

Servers = Annotated[list[str] | None, typer.Option(help="a name server; may be given again")]
Routes = Annotated[list[str] | None, typer.Option(help="NETWORK=NEXTHOP, a host of the subnet; again for more")]

app = typer.Typer(no_args_is_help=True, help="Subnets: ranges of a VPC's addresses.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    vpc: Annotated[str, typer.Option(help="its VPC, by id or name")],
    cidr: Annotated[str, typer.Option(help="such as 10.1.0.0/24")],
    gateway: Annotated[str | None, typer.Option(help="left out, it is the first address")] = None,
    dns: Servers = None,
    route: Routes = None,
    mtu: Annotated[int | None, typer.Option(help="of its servers' NICs")] = None,
    routed: Annotated[
        bool | None, typer.Option(help="its gateway is there; left out, it is unless the VPC is a vxlan")
    ] = None,
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
        "routes": routes(route or []),
        "mtu": mtu,
        "routed": routed,
        "dhcp": dhcp,
    }
    answer = client_of(context).post("/v1/subnets", body)
    show(answer, json, f"subnet {name} created")


def routes(words: list[str]) -> list[dict[str, str]]:
    """NETWORK=NEXTHOP … Raises `InputError`."""
    return [{"destination": network, "next_hop": hop} for network, hop in pairs(words, "--route").items()]


@app.command("set")
def set_subnet(
    context: typer.Context,
    subnet: str,
    dns: Servers = None,
    route: Routes = None,
    no_dns: Annotated[bool, typer.Option("--no-dns", help="no name servers any more")] = False,
    no_routes: Annotated[bool, typer.Option("--no-routes", help="no routes any more")] = False,
    json: Json = False,
) -> None:
    """Change its name servers or routes, all of them at once; its servers are told."""
    body: dict[str, Any] = {}
    if dns or no_dns:
        body["dns"] = dns or []
    if route or no_routes:
        body["routes"] = routes(route or [])
    if not body:
        hint = "Give --dns or --no-dns, --route or --no-routes."
        raise InputError(f"changing subnet {subnet}", "it is not said what shall be changed", hint=hint)
    answer = client_of(context).patch(f"/v1/subnets/{escaped(subnet)}", body)
    show(answer, json, facts(dict(read(Subnet, answer))))


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
