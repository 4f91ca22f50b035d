# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node`: the machines, for their operator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from agent.bmsctl import bundle
from agent.bmsctl.answers import Node, NodeDetail
from agent.bmsctl.client import read
from agent.bmsctl.erasure import erasure, quarantine
from agent.bmsctl.inventory import inventory_tables, seen_otherwise
from agent.bmsctl.job import began
from agent.bmsctl.named import escaped, text_of
from agent.bmsctl.show import Json, client_of, facts, rows, show
from agent.bmsctl.validation import validate, validation
from agent.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Nodes: the machines.")
app.add_typer(bundle.app, name="bundle")


@app.command("list")
def list_nodes(context: typer.Context, json: Json = False) -> None:
    """Every node."""
    answer = client_of(context).get("/v1/nodes")
    columns = ("NAME", "STATE", "HOST", "POWER", "RUNS", "CLEAN", "SERVER", "TO APPROVE", "FAULT")
    nodes = read(tuple[Node, ...], answer)
    table = rows(
        columns,
        (
            (
                n.name,
                n.state,
                n.host_status,
                n.power,
                n.mode,
                n.clean,
                n.server_name,
                to_approve(n),
                n.fault.code if n.fault else None,
            )
            for n in nodes
        ),
        spare=("POWER", "RUNS", "CLEAN", "HOST", "SERVER", "TO APPROVE", "FAULT"),
    )
    show(answer, json, table)


def to_approve(node: Node) -> str | None:
    """What its operator compares with its screen, if there is anything to approve."""
    return node.fingerprint if node.state == "enroll" or node.revoked else None


@app.command("show")
def show_node(context: typer.Context, node: str, json: Json = False) -> None:
    """One node with what it is made of."""
    answer = client_of(context).get(f"/v1/nodes/{escaped(node)}")
    show(answer, json, *described(read(NodeDetail, answer)))


def described(node: NodeDetail) -> list[RenderableType]:
    """A node as its operator reads it."""
    about = facts(
        {
            "node": node.name,
            "id": node.id,
            "state": node.state,
            "host": node.host_status,
            "power": node.power,
            "runs": f"{node.mode}, agent {node.agent_version}" if node.mode else None,
            "boots": f"{node.boot_target} by {node.boot_mac}",
            "identity": node.identity,
            "key": f"{node.fingerprint}{' (revoked)' if node.revoked else ''}" if node.fingerprint else None,
            "rack": node.rack,
            "ramdisk's boot": node.boot,
            "bmc": node.bmc,
            "server": node.server_name,
            "generation": f"{node.generation} (holds: {node.applied_generation})",
            "heartbeat": node.heartbeat_at,
            "clean": f"yes, erased{'' if node.attested else ' (not attested)'}"
            if node.clean
            else "no data found"
            if not node.held
            else "no",
            "holds data": node.held,
            "flavors": node.flavors,
            "fault": f"{node.fault.code}: {node.fault.message}" if node.fault else None,
            "its OS says": seen_otherwise(node.inventory, node.os_inventory, node.os_inventory_at),
            "problems": tuple(f"{fault.code}: {fault.message}" for fault in node.problems),
        }
    )
    return [about, *(inventory_tables(node.inventory) if node.inventory else [])]


app.command("erasure")(erasure)
app.command("quarantine")(quarantine)
app.command("validate")(validate)
app.command("validation")(validation)


@app.command("approve")
def approve(
    context: typer.Context,
    node: str,
    fingerprint: Annotated[str | None, typer.Argument(help="of its key, as the machine's own screen shows it")] = None,
    json: Json = False,
) -> None:
    """Take in a node that enrolled itself, one that was revoked, or one whose OS has lost its key."""
    body = {"fingerprint": fingerprint.upper() if fingerprint else None}
    answer = client_of(context).post(f"/v1/nodes/{escaped(node)}/approve", body)
    show(answer, json, f"node {node} is {answer['state']}")


@app.command("revoke")
def revoke(context: typer.Context, node: str, json: Json = False) -> None:
    """Hear nothing of a node any more, and put no server on it, until it is approved again."""
    answer = client_of(context).post(f"/v1/nodes/{escaped(node)}/revoke")
    show(answer, json, f"node {node} is revoked, and in maintenance; what runs on it runs on")


@app.command("delete")
def delete(context: typer.Context, node: str, json: Json = False) -> None:
    """Forget a node that never had a server nor was cleaned; its machine comes back as a new one if it boots again."""
    answer = client_of(context).delete(f"/v1/nodes/{escaped(node)}")
    show(answer, json, f"node {node} deleted")


@app.command("identity")
def identity(
    context: typer.Context,
    node: str,
    identity: Annotated[str | None, typer.Argument(help="smbios:UUID of its new mainboard")] = None,
    mac: Annotated[list[str] | None, typer.Option(help="OLD=NEW, of a NIC that was replaced; may be repeated")] = None,
    json: Json = False,
) -> None:
    """Say that a node has another mainboard, or other NICs: its server is then no copy."""
    pairs = [one.lower().partition("=") for one in mac or ()]
    if not (identity or pairs) or any(not new for _, _, new in pairs):
        raise InputError(
            "saying what a node is", "neither smbios:UUID nor --mac OLD=NEW", hint="See bmsctl node identity --help."
        )
    body = {"identity": identity} if identity else {}
    answer = client_of(context).patch(
        f"/v1/nodes/{escaped(node)}", body | ({"replaced_macs": {old: new for old, _, new in pairs}} if pairs else {})
    )
    boots = f", and boots by {answer['boot_mac']}" if pairs else ""
    show(answer, json, f"node {node} is {answer['identity']}{boots}")


@app.command("clean")
def clean(
    context: typer.Context,
    node: str,
    wait: Annotated[bool, typer.Option("--wait", help="until it is done")] = False,
    json: Json = False,
) -> None:
    """Erase every local disk of a node without a server."""
    client = client_of(context)
    answer = client.post(f"/v1/nodes/{escaped(node)}/clean")
    began(client, answer, f"cleaning node {node}", wait=wait, as_json=json)


@app.command("bmc")
def set_bmc(
    context: typer.Context,
    node: str,
    address: Annotated[str | None, typer.Option(help="URL of its Redfish system")] = None,
    username: Annotated[str | None, typer.Option(help="of the BMC")] = None,
    password_file: Annotated[Path | None, typer.Option(help="file with the password")] = None,
    verify_tls: Annotated[bool, typer.Option(help="check the BMC's certificate")] = True,
    forget: Annotated[bool, typer.Option("--forget", help="the node has no BMC any more")] = False,
    json: Json = False,
) -> None:
    """Say how the node is switched on and off."""
    bmc = None
    if not forget:
        if not (address and username and password_file):
            raise InputError(
                "setting a BMC",
                "--address, --username and --password-file are all needed",
                hint="See bmsctl node bmc --help.",
            )
        password = read_password(password_file)
        bmc = {"address": address, "username": username, "password": password, "verify_tls": verify_tls}
    answer = client_of(context).patch(f"/v1/nodes/{escaped(node)}", {"bmc": bmc})
    show(answer, json, f"node {node}: BMC {answer['bmc'] or 'forgotten'}")


def read_password(path: Path) -> str:
    """The first line. Raises `ConfigError`."""
    return text_of(path, f"reading the password in {path}").rstrip("\n")


@app.command("maintenance")
def maintenance(
    context: typer.Context,
    node: str,
    off: Annotated[bool, typer.Option("--off", help="end it")] = False,
    json: Json = False,
) -> None:
    """Keep a node from getting new servers."""
    answer = client_of(context).patch(f"/v1/nodes/{escaped(node)}", {"maintenance": not off})
    show(answer, json, f"node {node}: maintenance {'over' if off else 'begun'}")


@app.command("rename")
def rename(context: typer.Context, node: str, name: str, json: Json = False) -> None:
    """Give a node another name."""
    answer = client_of(context).patch(f"/v1/nodes/{escaped(node)}", {"name": name})
    show(answer, json, f"node {node} is {answer['name']} now")


@app.command("generation")
def generation(context: typer.Context, node: str, generation: int, json: Json = False) -> None:
    """Raise the generation of its desired state: its agent refuses one that is older than what it holds, as it may be
    after the controller was restored from a backup."""
    answer = client_of(context).patch(f"/v1/nodes/{escaped(node)}", {"generation": generation})
    show(answer, json, f"node {node}: generation {answer['generation']}")
