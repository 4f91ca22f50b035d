# SPDX-License-Identifier: Apache-2.0
"""`bmsctl server nic`: a server's NICs, attached and detached while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from agent.bmsctl.client import Client, JobFailed, read
from agent.bmsctl.named import escaped
from agent.bmsctl.networks import NicChange, Nics
from agent.bmsctl.show import Json, client_of, rows, show
from agent.bmsctl.watch import PERIOD_S, Answers
from agent.errors import LinkError
from agent.model.fault import Fault
from agent.program.wait import waiting

PATIENCE = 180
"""Looks: heartbeats come each minute."""
Groups = Annotated[
    list[str] | None, typer.Option("--security-group", help="instead of the default one; again for more")
]
Wait = Annotated[bool, typer.Option("--wait", help="until the server's agent has applied it")]

app = typer.Typer(no_args_is_help=True, help="A server's NICs.")


def ordered(word: str) -> dict[str, str]:
    """SUBNET or SUBNET=ADDRESS."""
    name, _, address = word.partition("=")
    return {"subnet": name, "ip_address": address} if address else {"subnet": name}


@app.command("list")
def list_nics(context: typer.Context, server: str, json: Json = False) -> None:
    """Every NIC, and whether the server has it so."""
    answer = client_of(context).get(path(server))
    columns = ("ADDRESS", "VPC", "SUBNET", "MAC", "GROUPS", "EIP", "APPLIED", "OBSERVED", "PORT")
    found = read(Nics, answer)
    table = rows(
        columns,
        (
            (n.address or "dhcp", n.vpc, n.subnet, n.mac, n.security_groups, n.eip, n.applied, n.observed, n.port_id)
            for n in found.nics
        ),
        spare=("PORT", "MAC", "SUBNET", "EIP", "GROUPS", "VPC"),
    )
    problems = [f"{fault.code}: {fault.message}" for fault in found.problems]
    detaching = [f"{address}: detaching, until the server's agent has let go of it" for address in found.detaching]
    show(answer, json, table, *detaching, *problems)


@app.command("attach")
def attach(
    context: typer.Context,
    server: str,
    subnet: Annotated[str, typer.Option(help="SUBNET or SUBNET=ADDRESS")],
    mac: Annotated[str | None, typer.Option(help="of the physical NIC, in a flat VPC; left out, the next free")] = None,
    security_group: Groups = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Attach one more NIC."""
    body: dict[str, Any] = dict(ordered(subnet))
    if mac:
        body["mac"] = mac
    if security_group:
        body["security_groups"] = security_group
    client = client_of(context)
    changed(client, client.post(path(server), body), f"NIC of {server} attached", wait=wait, as_json=json)


@app.command("detach")
def detach(
    context: typer.Context,
    server: str,
    nic: Annotated[str, typer.Argument(help="its address, MAC or port id")],
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Take a NIC away; its address is free when the server's agent has let go of it."""
    client = client_of(context)
    answer = client.delete(f"{path(server)}/{escaped(nic)}")
    changed(client, answer, f"NIC {nic} of {server} detached", wait=wait, as_json=json)


@app.command("set")
def set_nic(
    context: typer.Context,
    server: str,
    nic: Annotated[str, typer.Argument(help="its address, MAC or port id")],
    security_group: Annotated[list[str], typer.Option(help="it shall be in; again for more")],
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Put a NIC into other security groups."""
    client = client_of(context)
    answer = client.patch(f"{path(server)}/{escaped(nic)}", {"security_groups": security_group})
    changed(client, answer, f"NIC {nic} of {server} is in {', '.join(security_group)}", wait=wait, as_json=json)


def path(server: str) -> str:
    """Of a server's NICs."""
    return f"/v1/servers/{escaped(server)}/nics"


def changed(client: Client, answer: Any, what: str, *, wait: bool, as_json: bool) -> None:
    """A change was taken: wait for the server's agent if that is wanted, and say so."""
    change = read(NicChange, answer)
    if wait:
        with waiting("waiting for the server's agent to apply it"):
            applied(client.silent, change)
    show(answer, as_json, f"{what}: generation {change.generation}{', applied' if wait else ''}")


def applied(client: Answers, change: NicChange, pause: Callable[[float], None] = time.sleep) -> None:
    """Until the agent holds that generation. Raises `JobFailed` with what it says instead in two heartbeats: the first
    may be of a round that was under way before, or one that is over with the next try."""
    troubled: set[datetime | None] = set()
    begun = read(Nics, client.get(path(change.server_id))).heartbeat_at
    for _ in range(PATIENCE):
        found = _look(client, change.server_id)
        if found is not None and found.applied_generation >= change.generation:
            return
        if found is not None and found.problems and found.heartbeat_at != begun:
            troubled.add(found.heartbeat_at)
            if len(troubled) > 1:
                raise JobFailed(found.problems[0])
        pause(PERIOD_S)
    raise JobFailed(
        Fault(
            code="BMS.NOT_APPLIED",
            message=f"waiting for generation {change.generation}: the server's agent has not applied it",
            hint="It stays ordered. See bmsctl node show NODE for the last heartbeat, and its problems.",
        )
    )


def _look(client: Answers, server_id: str) -> Nics | None:
    """A controller that is away for a while is waited for."""
    try:
        return read(Nics, client.get(path(server_id)))
    except LinkError:
        return None
