# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image deploy`: write an image to a disk by hand."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from agent.errors import InputError
from agent.model.disk import RootDeviceHints
from agent.model.frozen import faults
from agent.model.image import ImageFormat, ImageRef
from agent.model.request import DeployRequest

app = typer.Typer(no_args_is_help=True, help="Images.")


@app.callback()
def image() -> None:
    """Images."""


@app.command("deploy")
def deploy(
    url: Annotated[str, typer.Argument(help="where the image is (http or https)")],
    sha256: Annotated[str, typer.Option(help="digest of the file as it travels; there is no way around it")],
    image_format: Annotated[ImageFormat, typer.Option("--format")] = ImageFormat.RAW,
    serial: Annotated[str | None, typer.Option(help="the disk with this serial")] = None,
    wwn: Annotated[str | None, typer.Option(help="the disk with this WWN")] = None,
    size_gb: Annotated[str | None, typer.Option(help="the disk of this size: '480', '>= 400'")] = None,
    overwrite: Annotated[bool, typer.Option(help="the disk's present data may go")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
) -> None:
    """Write an image to the disk that the hints select. Does not reboot."""
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.host.real import host as open_host

    try:
        request = DeployRequest(
            request_id=new_request_id(),
            node_id=BY_HAND,
            image=ImageRef(url=url, format=image_format, sha256=sha256),
            root_device=RootDeviceHints(serial=serial, wwn=wwn, size_gb=size_gb),
            overwrite=overwrite,
        )
    except ValidationError as error:
        raise InputError("reading the command line", faults(error)) from None
    perform(open_host(), request, plan_only=plan)
