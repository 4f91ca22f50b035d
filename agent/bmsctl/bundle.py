# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node bundle`: the bundles of logs that nodes sent (`bms-agent diagnose bundle --upload`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.bmsctl.answers import Bundle
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, rows, show, show_json
from agent.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Bundles of logs that nodes sent.")


@app.command("list")
def list_bundles(context: typer.Context, node: str, json: Json = False) -> None:
    """Those of a node, the newest first."""
    answer = client_of(context).get(f"/v1/nodes/{escaped(node)}/bundles")
    bundles = read(tuple[Bundle, ...], answer)
    show(answer, json, rows(("NAME", "TAKEN", "BYTES"), ((one.name, one.taken_at, one.size_bytes) for one in bundles)))


@app.command("get")
def get_bundle(
    context: typer.Context,
    node: str,
    name: Annotated[str | None, typer.Argument(help="left out, the newest")] = None,
    to: Annotated[Path | None, typer.Option(help="a file; left out, its name, here")] = None,
    json: Json = False,
) -> None:
    """Fetch one."""
    client = client_of(context)
    path = f"/v1/nodes/{escaped(node)}/bundles"
    if name is None:
        every = read(tuple[Bundle, ...], client.get(path))
        if not every:
            raise InputError(
                f"fetching a bundle of node {node}",
                "it sent none",
                hint="On the node: bms-agent diagnose bundle --upload.",
            )
        name = every[0].name
    target = to or Path(Path(name).name)
    size = client.download(f"{path}/{escaped(name)}", target)
    if json:
        show_json({"name": name, "file": str(target), "size_bytes": size})
    else:
        typer.echo(f"{target}: {size} bytes")
