# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk erase`: erase disks by hand. Each is named; there is no "all" here."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.model.request import EraseRequest

app = typer.Typer(no_args_is_help=True, help="Disks.")


@app.callback()
def disk() -> None:
    """Disks."""


@app.command("erase")
def erase(
    disks: Annotated[list[str], typer.Argument(help="serials or WWNs of the disks to erase")],
    metadata: Annotated[bool, typer.Option("--metadata", help="only what says what they hold: in seconds")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
) -> None:
    """Erase these disks, all of each, and prove it by reading back. Idle arrays and volumes on them are taken down."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.host.real import host as open_host

    request = EraseRequest(
        request_id=new_request_id(),
        node_id=BY_HAND,
        serials=tuple(disks),
        method="metadata" if metadata else "zero",
    )
    perform(open_host(), request, plan_only=plan)
