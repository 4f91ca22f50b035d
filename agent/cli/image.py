# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image …`: write an image to a disk by hand; look at one, pack, unpack, verify, capture."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from agent.cli import look, pack, sign, source
from agent.cli.capture import capture
from agent.errors import InputError
from agent.model.disk import RootDeviceHints
from agent.model.frozen import faults
from agent.model.image import ImageRef
from agent.model.request import DeployRequest

app = typer.Typer(no_args_is_help=True, help="Images.")


@app.callback()
def image() -> None:
    """Images."""


app.command("capture")(capture)
app.command("pack")(pack.pack)
app.command("unpack")(pack.unpack)
app.command("sign")(sign.sign)
app.command("inspect")(look.inspect)
app.command("verify")(look.verify)


@app.command("write")
def write(
    where: source.Where,
    sha256: source.Sha256 = None,
    sha512: source.Sha512 = None,
    checksums: source.Checksums = None,
    image_format: source.Format = None,
    mirrors: source.Mirrors = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    serial: Annotated[str | None, typer.Option(help="the disk with this serial")] = None,
    wwn: Annotated[str | None, typer.Option(help="the disk with this WWN")] = None,
    by_path: Annotated[str | None, typer.Option(help="the disk at this /dev/disk/by-path/… link")] = None,
    size_gb: Annotated[str | None, typer.Option(help="the disk of this size: '480', '>= 400'")] = None,
    overwrite: Annotated[bool, typer.Option(help="the disk's present data may go")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="read the medium back at the end")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
    json: Annotated[bool, typer.Option("--json", help="the plan, or the result, as JSON")] = False,
) -> None:
    """Write an image to the disk that the hints select. A digest is needed; there is no way around it."""
    from agent.apply.convert import settled
    from agent.cli.job import BY_HAND, new_request_id, perform
    from agent.cli.machine import host as open_host

    host = open_host()
    try:
        entrance = source.access(bearer, user, password, authority, proxy)
        named = source.reference(where, (sha256, sha512, checksums), image_format, entrance, mirrors)
        image = ImageRef.model_validate(named.model_dump())  # with a digest
        request = DeployRequest(
            request_id=new_request_id(),
            node_id=BY_HAND,
            image=image if image_format else settled(host, image, None).image,
            root_device=RootDeviceHints(serial=serial, wwn=wwn, by_path=by_path, size_gb=size_gb),
            overwrite=overwrite,
            verify=verify,
        )
    except ValidationError as error:
        raise InputError("reading the command line", faults(error)) from None
    perform(host, request, plan_only=plan, as_json=json)
