# SPDX-License-Identifier: Apache-2.0
"""`bms-agent boot …`: which disk the firmware boots, by hand. Nothing of what is on the disk is run or mounted."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from agent.errors import InputError
from agent.model.disk import RootDeviceHints
from agent.model.frozen import faults
from agent.model.request import ForgetBootRequest, SelectBootRequest

app = typer.Typer(no_args_is_help=True, help="Boot entries of UEFI firmware.")
OnlyPlan = Annotated[bool, typer.Option("--plan", help="only show what would be done")]
AsJson = Annotated[bool, typer.Option("--json", help="the plan, or the result, as JSON")]


@app.callback()
def boot() -> None:
    """Boot entries of UEFI firmware."""


@app.command("select")
def select(
    serial: Annotated[str | None, typer.Option(help="the disk with this serial")] = None,
    wwn: Annotated[str | None, typer.Option(help="the disk with this WWN")] = None,
    by_path: Annotated[str | None, typer.Option(help="the disk at this /dev/disk/by-path/… link")] = None,
    esp: Annotated[str | None, typer.Option(help="the UUID of its EFI system partition")] = None,
    plan: OnlyPlan = False,
    json: AsJson = False,
) -> None:
    """Let the firmware boot this disk first. Nothing to do on a machine with a BIOS."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host

    hints = RootDeviceHints(serial=serial, wwn=wwn, by_path=by_path)
    request = SelectBootRequest(request_id=new_request_id(), node_id=BY_HAND, root_device=hints, esp_uuid=esp)
    perform(open_host(), request, plan_only=plan, as_json=json)


@app.command("forget")
def forget(
    patterns: Annotated[list[str], typer.Argument(help="regular expressions for the entries' paths: 'grub.*\\.efi'")],
    plan: OnlyPlan = False,
    json: AsJson = False,
) -> None:
    """Remove the boot entries whose paths fit one of these expressions."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host

    try:
        request = ForgetBootRequest(request_id=new_request_id(), node_id=BY_HAND, match_patterns=tuple(patterns))
    except ValidationError as error:
        raise InputError("reading the command line", faults(error)) from None
    perform(open_host(), request, plan_only=plan, as_json=json)
