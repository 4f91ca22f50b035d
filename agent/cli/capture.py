# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image capture`: a disk of this machine into an image, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.cli import source
from agent.errors import AgentError, InputError
from agent.host.doors import Host
from agent.model.disk import RootDeviceHints
from agent.model.frozen import faults
from agent.model.generalise import Action
from agent.model.generalise.table import chosen
from agent.model.plan import CaptureDisk
from agent.model.request import CaptureRequest

MOST_SHOWN = 12
Disk = Annotated[str | None, typer.Argument(help="/dev/…; or leave it out and say --serial, --wwn …")]
To = Annotated[str, typer.Option("--to", help="URL to PUT the image to, or a file that becomes it")]
Keep = Annotated[list[str] | None, typer.Option("--keep", metavar="ITEM", help="do not forget this; may be repeated")]
General = Annotated[bool, typer.Option("--generalise/--no-generalise", help="forget what is this server's own")]
Force = Annotated[bool, typer.Option("--force", help="warn of what would otherwise be refused")]


def capture(
    to: To,
    disk: Disk = None,
    serial: Annotated[str | None, typer.Option(help="the disk with this serial")] = None,
    wwn: Annotated[str | None, typer.Option(help="the disk with this WWN")] = None,
    by_path: Annotated[str | None, typer.Option(help="the disk at this /dev/disk/by-path/… link")] = None,
    size_gb: Annotated[str | None, typer.Option(help="the disk of this size: '480', '>= 400'")] = None,
    generalise: General = True,
    keep: Keep = None,
    force: Force = False,
    os: Annotated[str | None, typer.Option("--os", help="what the image says it is; left out, os-release")] = None,
    level: Annotated[int | None, typer.Option(min=1, max=19, help="of zstd: lower is faster, and larger")] = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done, file by file")] = False,
    json: Annotated[bool, typer.Option("--json", help="the plan, or the result, as JSON")] = False,
) -> None:
    """Read a disk into a chunked image (also an ordinary .zst) that other servers can be made of.

    Only what is allocated; the disk itself is not written to. What is one server's own (machine-id, SSH host keys,
    cloud-init's state …: --plan lists it) is forgotten on a copy in memory.
    """
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host

    host = open_host()
    try:
        request = CaptureRequest(
            request_id=new_request_id(),
            node_id=BY_HAND,
            path=None if disk is None else host.files.resolve(str(Path(disk).absolute())),
            disk=RootDeviceHints(serial=serial, wwn=wwn, by_path=by_path, size_gb=size_gb),
            to=source.located(to),
            access=source.access(bearer, user, password, authority, proxy),
            generalise=generalise,
            keep=tuple(keep or ()),
            force=force,
            os=os,
            level=level,
        )
    except ValidationError as error:
        raise InputError("reading the command line", faults(error)) from None
    perform(host, request, plan_only=plan, as_json=json)
    if plan and not json and generalise:
        typer.echo("\n".join(shown(host, request)))


def shown(host: Host, request: CaptureRequest) -> Iterator[str]:
    """Every item that is forgotten, why, and what of it is on this disk, where that can be looked at here."""
    from agent.apply.capture.take import preview
    from agent.operations import Operations

    (step,) = Operations(host, None, "").plan(request).steps
    assert isinstance(step, CaptureDisk)
    try:
        found, note = preview(host, step), "as found on a copy in memory"
    except AgentError as error:
        found, note = (), f"the files cannot be listed here: {error}"
    yield f"to be forgotten ({note}):"
    for item in chosen(step.forget):
        yield f"  {item.name}: {item.reason}"
        yield from listed([action for action in found if action.item == item.name])


def listed(actions: list[Action]) -> Iterator[str]:
    """One line an action, and how many more there are."""
    for action in actions[:MOST_SHOWN]:
        yield f"      {action}"
    if len(actions) > MOST_SHOWN:
        yield f"      … and {len(actions) - MOST_SHOWN} more"
