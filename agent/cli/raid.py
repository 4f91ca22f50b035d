# SPDX-License-Identifier: Apache-2.0
"""`bms-agent raid create | delete`: software RAID by hand. Arrays are described as in Ironic's `target_raid_config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.model.frozen import decode
from agent.model.raid import LogicalDisks
from agent.model.request import CreateRaidRequest, DeleteRaidRequest

app = typer.Typer(no_args_is_help=True, help="Software RAID.")
PlanOnly = Annotated[bool, typer.Option("--plan", help="only show what would be done")]


@app.callback()
def raid() -> None:
    """Software RAID."""


@app.command("create")
def create(
    arrays: Annotated[Path, typer.Argument(help='JSON: {"logical_disks": [{"size_gb": …, "raid_level": …}, …]}')],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="the disks' present data may be destroyed")] = False,
    plan: PlanOnly = False,
) -> None:
    """Make arrays of local disks."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host
    from agent.cli.machine import own_files

    host = open_host()
    wanted = decode(LogicalDisks, own_files().read_bytes(str(arrays.absolute())), f"reading {arrays}").logical_disks
    request = CreateRaidRequest(request_id=new_request_id(), node_id=BY_HAND, logical_disks=wanted, overwrite=overwrite)
    perform(host, request, plan_only=plan)


@app.command("delete")
def delete(plan: PlanOnly = False) -> None:
    """Take every array down, and wipe the disks that held one."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host

    perform(open_host(), DeleteRaidRequest(request_id=new_request_id(), node_id=BY_HAND), plan_only=plan)
