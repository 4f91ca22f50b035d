# SPDX-License-Identifier: Apache-2.0
"""`bmsctl server`: what users order."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.bmsctl import nic
from agent.bmsctl.answers import Server
from agent.bmsctl.client import read
from agent.bmsctl.job import began, progress_text
from agent.bmsctl.named import bytes_of, escaped
from agent.bmsctl.show import Json, client_of, facts, gigabytes, pairs, rows, show
from agent.errors import InputError

POWER = {0: "unknown", 1: "on", 4: "off"}
HINTS = ("serial", "wwn", "vendor", "model", "by_path", "hctl", "transport", "rotational", "size_gb")

Wait = Annotated[bool, typer.Option("--wait", help="until it is done, showing how far it is")]
Hard = Annotated[bool, typer.Option("--hard", help="by the BMC; the OS is not asked")]

Verify = Annotated[bool, typer.Option("--verify", help="read the disk back before it is made bootable")]

app = typer.Typer(no_args_is_help=True, help="Servers: machines with an operating system, as ordered.")
app.add_typer(nic.app, name="nic")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    flavor: Annotated[str, typer.Option(help="what it must at least have")],
    image: Annotated[str, typer.Option(help="what is installed")],
    subnet: Annotated[list[str], typer.Option(help="SUBNET or SUBNET=ADDRESS; again for a second NIC")],
    key: Annotated[str | None, typer.Option("--key", "--key-name", help="key pair for logging in")] = None,
    user_data: Annotated[Path | None, typer.Option(help="file for cloud-init")] = None,
    root_device: Annotated[list[str] | None, typer.Option(help="HINT=VALUE, such as serial=S1; again for more")] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; again for more")] = None,
    security_group: nic.Groups = None,
    bond: Annotated[str | None, typer.Option(help="802.3ad or active-backup: the first two NICs are one")] = None,
    verify: Verify = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Create a server."""
    body: dict[str, Any] = {
        "name": name,
        "flavor": flavor,
        "image": image,
        "nics": [nic.ordered(word) for word in subnet],
    }
    if key:
        body["key_name"] = key
    if user_data:
        body["user_data"] = encoded(user_data)
    if root_device:
        body["root_device"] = hints(root_device)
    if metadata:
        body["metadata"] = pairs(metadata, "--metadata")
    if security_group:
        body["security_groups"] = security_group
    if bond:
        body["bond"] = bond
    if verify:
        body["verify"] = True
    client = client_of(context)
    answer = client.post("/v1/servers", body)
    began(client, answer, f"creating server {name} ({answer['server_id']})", wait=wait, as_json=json)


def hints(words: list[str]) -> dict[str, Any]:
    """HINT=VALUE. Raises `InputError`."""
    given: dict[str, Any] = dict(pairs(words, "--root-device"))
    unknown = sorted(given.keys() - set(HINTS))
    if unknown:
        raise InputError("reading --root-device", f"{unknown[0]} is no hint", hint=f"Hints are {', '.join(HINTS)}.")
    return given


def encoded(path: Path) -> str:
    """A file in base64. Raises `ConfigError`."""
    return base64.b64encode(bytes_of(path, f"reading the user data in {path}")).decode()


@app.command("list")
def list_servers(
    context: typer.Context,
    deleted: Annotated[bool, typer.Option("--deleted", help="deleted ones too")] = False,
    json: Json = False,
) -> None:
    """Every server."""
    answer = client_of(context).get("/v1/servers", deleted=str(deleted).lower())
    columns = ("NAME", "STATUS", "TASK", "HOST", "ADDRESSES", "FLAVOR", "IMAGE", "NODE")
    table = rows(
        columns,
        (
            (s.name, s.status, s.task_state, s.host_status, addresses(s), s.flavor, s.image, s.node_name)
            for s in read(tuple[Server, ...], answer)
        ),
        spare=("IMAGE", "FLAVOR", "HOST", "NODE", "TASK", "ADDRESSES"),
    )
    show(answer, json, table)


def addresses(server: Server) -> tuple[str, ...]:
    """As ordered, or as DHCP gave them."""
    return tuple(one.address or ", ".join(one.observed) or "dhcp" for one in server.addresses)


@app.command("show")
def show_server(context: typer.Context, server: str, json: Json = False) -> None:
    """One server, by id or name."""
    answer = client_of(context).get(f"/v1/servers/{escaped(server)}")
    it = read(Server, answer)
    table = facts(
        {
            "server": it.name,
            "id": it.id,
            "status": it.status,
            "task": it.task_state,
            "power": POWER.get(it.power_state),
            "host": it.host_status,
            "boot proof": it.boot_proof,
            "node": it.node_name,
            "flavor": it.flavor,
            "image": it.image,
            "key": it.key_name,
            "addresses": tuple(
                f"{one.address or 'dhcp'} ({one.subnet}, {one.mac}; observed: {', '.join(one.observed) or 'nothing'})"
                for one in it.addresses
            ),
            "EIPs": tuple(f"{one.eip} → {one.address}" for one in it.addresses if one.eip),
            "drift": it.drift,
            "root disk": f"{gigabytes(it.root_disk.size_bytes)}, serial {it.root_disk.serial}, WWN {it.root_disk.wwn}",
            "metadata": tuple(f"{key}={value}" for key, value in it.metadata.items()),
            "job": it.job_id,
            "progress": progress_text(it.progress),
            "created": it.created,
            "launched": it.launched_at,
            "fault": f"{it.fault.code}: {it.fault.message}" if it.fault else None,
            "because": it.fault.details if it.fault else None,
            "to do": it.fault.hint if it.fault else None,
        }
    )
    show(answer, json, table)


@app.command("set")
def set_server(
    context: typer.Context,
    server: str,
    drift: Annotated[str, typer.Option(help="network changes that nobody ordered: correct them, or only report them")],
    json: Json = False,
) -> None:
    """Change how it is kept."""
    answer = client_of(context).patch(f"/v1/servers/{escaped(server)}", {"drift": drift})
    show(answer, json, f"server {server}: drift {answer['drift']}")


@app.command("start")
def start(context: typer.Context, server: str, wait: Wait = False, json: Json = False) -> None:
    """Switch it on."""
    order(context, server, "start", None, wait=wait, as_json=json)


@app.command("stop")
def stop(context: typer.Context, server: str, hard: Hard = False, wait: Wait = False, json: Json = False) -> None:
    """Switch it off."""
    order(context, server, "stop", {"type": "HARD" if hard else "SOFT"}, wait=wait, as_json=json)


@app.command("reboot")
def reboot(context: typer.Context, server: str, hard: Hard = False, wait: Wait = False, json: Json = False) -> None:
    """Start it again."""
    order(context, server, "reboot", {"type": "HARD" if hard else "SOFT"}, wait=wait, as_json=json)


@app.command("reinstall")
def reinstall(
    context: typer.Context, server: str, verify: Verify = False, wait: Wait = False, json: Json = False
) -> None:
    """Its image again: the system disk's data is lost; addresses and key are kept."""
    order(context, server, "reinstall", {"verify": True} if verify else None, wait=wait, as_json=json)


@app.command("delete")
def delete(context: typer.Context, server: str, wait: Wait = False, json: Json = False) -> None:
    """Erase it and give its node back."""
    client = client_of(context)
    answer = client.delete(f"/v1/servers/{escaped(server)}")
    began(client, answer, f"deleting server {server}", wait=wait, as_json=json)


def order(context: typer.Context, server: str, what: str, body: Any, *, wait: bool, as_json: bool) -> None:
    """Order something of a server."""
    client = client_of(context)
    answer = client.post(f"/v1/servers/{escaped(server)}/{what}", body)
    began(client, answer, f"{what} of server {server}", wait=wait, as_json=as_json)
