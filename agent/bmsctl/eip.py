# SPDX-License-Identifier: Apache-2.0
"""`bmsctl eip`: public addresses."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl import nic
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.networks import Eip
from agent.bmsctl.show import Json, client_of, facts, rows, show

app = typer.Typer(no_args_is_help=True, help="EIPs: public addresses, bound to one NIC each.")

PATH = "/v1/eips"
Bandwidth = Annotated[int, typer.Option(help="Mbit/s each way, of traffic with the outside; 1 to 2000")]


@app.command("create")
def create(
    context: typer.Context,
    address: str,
    bandwidth_mbps: Bandwidth = 5,
    mode: Annotated[
        str, typer.Option(help="who translates: the network's gateway, or the server (host), to which it is routed")
    ] = "gateway",
    json: Json = False,
) -> None:
    """Take a public address into stock."""
    answer = client_of(context).post(PATH, {"address": address, "bandwidth_mbps": bandwidth_mbps, "mode": mode})
    show(answer, json, f"EIP {address} created")


@app.command("list")
def list_eips(context: typer.Context, json: Json = False) -> None:
    """Every EIP."""
    answer = client_of(context).get(PATH)
    columns = ("ADDRESS", "MBIT/S", "MODE", "SERVER", "PRIVATE")
    eips = read(tuple[Eip, ...], answer)
    show(answer, json, rows(columns, ((e.address, e.bandwidth_mbps, e.mode, e.server_name, e.private) for e in eips)))


@app.command("show")
def show_eip(context: typer.Context, eip: str, json: Json = False) -> None:
    """One EIP, by id or address."""
    answer = client_of(context).get(f"{PATH}/{escaped(eip)}")
    show(answer, json, facts(dict(read(Eip, answer))))


@app.command("set")
def set_eip(context: typer.Context, eip: str, bandwidth_mbps: Bandwidth, json: Json = False) -> None:
    """Change its bandwidth."""
    answer = client_of(context).patch(f"{PATH}/{escaped(eip)}", {"bandwidth_mbps": bandwidth_mbps})
    show(answer, json, f"EIP {eip}: {answer['bandwidth_mbps']} Mbit/s")


@app.command("bind")
def bind(
    context: typer.Context,
    eip: str,
    server: str,
    port: Annotated[str | None, typer.Option("--nic", help="its address, MAC or port id; left out, the first")] = None,
    wait: nic.Wait = False,
    json: Json = False,
) -> None:
    """Bind it to a server's NIC."""
    client = client_of(context)
    answer = client.post(f"{PATH}/{escaped(eip)}/bind", {"server": server, "port": port})
    nic.changed(client, answer, f"EIP {eip} bound to {server}", wait=wait, as_json=json)


@app.command("unbind")
def unbind(context: typer.Context, eip: str, wait: nic.Wait = False, json: Json = False) -> None:
    """Bind it to nothing."""
    client = client_of(context)
    nic.changed(client, client.post(f"{PATH}/{escaped(eip)}/unbind"), f"EIP {eip} unbound", wait=wait, as_json=json)


@app.command("delete")
def delete(context: typer.Context, eip: str, json: Json = False) -> None:
    """Forget an EIP that is bound to nothing."""
    answer = client_of(context).delete(f"{PATH}/{escaped(eip)}")
    show(answer, json, f"EIP {eip} deleted")
