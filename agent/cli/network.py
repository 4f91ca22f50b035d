# SPDX-License-Identifier: Apache-2.0
"""`bms-agent network show|apply`: this machine's NICs, and bringing them to a desired state by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agent.errors import NotAsObserved
from agent.model.frozen import decode
from agent.model.network import NetworkConfig

app = typer.Typer(no_args_is_help=True, help="NICs.")


@app.command("show")
def show(json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False) -> None:
    """Show the NICs as they are."""
    from agent.cli.inventory import nic_table
    from agent.host.real import host as open_host
    from agent.inventory.network import network_state

    state = network_state(open_host())
    if json:
        typer.echo(state.model_dump_json(indent=2))
    else:
        Console().print(nic_table(state.nics))


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a NetworkConfig as JSON")],
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
) -> None:
    """Bring the NICs to what the file says; nothing is touched that is so already."""
    from agent.host.real import host as open_host
    from agent.job.convergence import Convergence
    from agent.operations import Operations
    from agent.plan.text import text

    desired = decode(NetworkConfig, file.read_bytes(), f"reading {file}")
    operations = Operations(open_host(), None, "/run/bms-agent/by-hand/spool")
    typer.echo(text(operations.plan_network(operations.network_state(), desired)))
    if plan:
        return
    convergence = Convergence(operations)
    convergence.want(0, desired)
    if not convergence.round() and convergence.fault is not None:
        raise NotAsObserved(convergence.fault.message, convergence.fault.details, hint=convergence.fault.hint)
