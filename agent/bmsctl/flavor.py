# SPDX-License-Identifier: Apache-2.0
"""`bmsctl flavor`: what a node must at least have to become a server of that kind."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.bmsctl.answers import Flavor, FlavorCheck
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, facts, rows, show
from agent.model.flavor import Comparison

MISMATCH = 8
app = typer.Typer(no_args_is_help=True, help="Flavors: what a node must at least have.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    cpu_arch: Annotated[str, typer.Option(help="x86_64 or aarch64")] = "x86_64",
    cores: Annotated[int, typer.Option(help="physical cores, at least")] = 1,
    ram_mb: Annotated[int, typer.Option(help="memory in MiB, at least")] = 512,
    disks: Annotated[int, typer.Option(help="local disks, at least")] = 1,
    disk_gb: Annotated[int, typer.Option(help="GB of each, at least")] = 1,
    disk_media: Annotated[str | None, typer.Option(help="ssd or hdd")] = None,
    nics: Annotated[int, typer.Option(help="NICs, at least")] = 1,
    nic_mbps: Annotated[int | None, typer.Option(help="Mbit/s of each, at least")] = None,
    firmware: Annotated[str | None, typer.Option(help="uefi or bios")] = None,
    bond: Annotated[
        str | None, typer.Option(help="802.3ad or active-backup: its servers' first two NICs are one")
    ] = None,
    json: Json = False,
) -> None:
    """Create a flavor. What is left out does not matter."""
    body = {
        "name": name,
        "cpu_arch": cpu_arch,
        "cores": cores,
        "ram_mb": ram_mb,
        "disks": disks,
        "disk_gb": disk_gb,
        "disk_media": disk_media,
        "nics": nics,
        "nic_mbps": nic_mbps,
        "firmware": firmware,
        "bond": bond,
    }
    answer = client_of(context).post("/v1/flavors", body)
    show(answer, json, f"flavor {name} created")


@app.command("list")
def list_flavors(context: typer.Context, json: Json = False) -> None:
    """Every flavor."""
    answer = client_of(context).get("/v1/flavors")
    columns = ("NAME", "ARCH", "CORES", "RAM MB", "DISKS", "NICS", "FIRMWARE")
    flavors = read(tuple[Flavor, ...], answer)
    table = rows(
        columns,
        ((f.name, f.cpu_arch, f.cores, f.ram_mb, disks_of(f), nics_of(f), f.firmware) for f in flavors),
        spare=("ARCH", "FIRMWARE", "NICS", "DISKS"),
    )
    show(answer, json, table)


@app.command("show")
def show_flavor(context: typer.Context, flavor: str, json: Json = False) -> None:
    """One flavor, by id or name."""
    answer = client_of(context).get(f"/v1/flavors/{escaped(flavor)}")
    show(answer, json, facts(dict(read(Flavor, answer))))


@app.command("check")
def check(context: typer.Context, node: str, flavor: str, json: Json = False) -> None:
    """Hold a node's hardware against a flavor, field by field. Exit status 8: it is not of that flavor."""
    answer = client_of(context).get(f"/v1/nodes/{escaped(node)}/flavors/{escaped(flavor)}")
    found = read(FlavorCheck, answer)
    lines = ((said(one), one.field, one.wanted, one.found) for one in found.fields)
    show(answer, json, rows(("", "FIELD", "FLAVOR", "NODE"), lines))
    if not found.fits:
        raise typer.Exit(MISMATCH)


def said(one: Comparison) -> str:
    """In a word."""
    return "match" if one.fits else "mismatch" if one.is_known else "unknown"


@app.command("delete")
def delete(context: typer.Context, flavor: str, json: Json = False) -> None:
    """Delete a flavor that no server has."""
    answer = client_of(context).delete(f"/v1/flavors/{escaped(flavor)}")
    show(answer, json, f"flavor {flavor} deleted")


def disks_of(flavor: Flavor) -> str:
    """In a few words."""
    return f"{flavor.disks} x {flavor.disk_gb} GB{' ' + flavor.disk_media if flavor.disk_media else ''}"


def nics_of(flavor: Flavor) -> str:
    """In a few words."""
    return f"{flavor.nics} x {flavor.nic_mbps} Mbit/s" if flavor.nic_mbps else str(flavor.nics)
