# SPDX-License-Identifier: Apache-2.0
"""`bmsctl image`: OS images, uploaded, registered by their URL, or imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from agent.bmsctl import image_file
from agent.bmsctl.answers import Image
from agent.bmsctl.client import Client, read
from agent.bmsctl.importing import watch_import
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, console, facts, gigabytes, rows, show
from agent.errors import InputError
from agent.model.image import ImageFormat
from agent.program.screen import Screen

app = typer.Typer(no_args_is_help=True, help="Images: operating systems to deploy.")

Digest = Annotated[str | None, typer.Option(help="of the file as it travels; of a chunked image's manifest")]
Sha512 = Annotated[str | None, typer.Option(help="the same, by SHA-512")]
MinDisk = Annotated[int | None, typer.Option(help="GB of the smallest disk that it may be written to")]
Firmware = Annotated[str | None, typer.Option(help="uefi, bios or both")]
Sectors = Annotated[int | None, typer.Option(help="512 or 4096: bytes of the sectors that it is made for")]
Ours = Annotated[bool | None, typer.Option(help="whether the bms-agent service is in it")]


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    file: Annotated[Path | None, typer.Option(help="upload this file")] = None,
    url: Annotated[str | None, typer.Option(help="or let the nodes fetch it from here (http, https, oci)")] = None,
    mirror: Annotated[list[str] | None, typer.Option(help="URL of the same file elsewhere; may be repeated")] = None,
    sha256: Digest = None,
    sha512: Sha512 = None,
    checksums: Annotated[str | None, typer.Option(help="URL of a file like SHA256SUMS that has its digest")] = None,
    format: Annotated[ImageFormat | None, typer.Option(help="left out, as its content or name says")] = None,
    min_disk_gb: MinDisk = None,
    firmware: Firmware = None,
    sector_bytes: Sectors = None,
    agent: Ours = None,
    bearer: image_file.Bearer = None,
    user: image_file.User = None,
    password: image_file.Password = None,
    authority: image_file.Authority = None,
    proxy: image_file.Proxy = None,
    json: Json = False,
) -> None:
    """Create an image. What image.json beside the file says need not be said again."""
    must_be_one("creating an image", file, url)
    body = {
        "name": name,
        "format": format,
        "sha256": sha256,
        "sha512": sha512,
        "min_disk_gb": min_disk_gb,
        "firmware": firmware,
        "sector_bytes": sector_bytes,
        "agent": agent,
    }
    if file is not None:
        body["format"] = image_file.format_of_file(file, format)
        answer = upload(client_of(context), "/v1/images/upload", file, described_beside(file, body))
    else:
        access = image_file.access_of(bearer, user, password, authority, proxy)
        there = {"url": url, "mirrors": mirror, "checksums": checksums, "access": access}
        body["format"] = format or image_file.format_of_url(str(url))
        answer = client_of(context).post("/v1/images", given(body | there))
    show(answer, json, f"image {name} created: {read(Image, answer).digest}")


@app.command("import")
def import_image(
    context: typer.Context,
    name: str,
    file: Annotated[Path | None, typer.Option(help="upload this file: VMDK, VHD, VHDX, VDI, QED, QCOW, raw …")] = None,
    url: Annotated[str | None, typer.Option(help="or let the controller fetch it from here (http, https)")] = None,
    format: Annotated[str | None, typer.Option(help="left out, as its content says, unless it is raw")] = None,
    sha256: Annotated[str | None, typer.Option(help="of the file as it is")] = None,
    sha512: Sha512 = None,
    min_disk_gb: MinDisk = None,
    firmware: Firmware = None,
    sector_bytes: Sectors = None,
    agent: Ours = None,
    bearer: image_file.Bearer = None,
    user: image_file.User = None,
    password: image_file.Password = None,
    authority: image_file.Authority = None,
    proxy: image_file.Proxy = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it is active, showing how far it is")] = False,
    json: Json = False,
) -> None:
    """Have the controller convert a disk image of any common kind into a chunked one, which it checks and keeps."""
    must_be_one("importing an image", file, url)
    body = {
        "name": name,
        "kind": format,
        "sha256": sha256,
        "sha512": sha512,
        "min_disk_gb": min_disk_gb,
        "firmware": firmware,
        "sector_bytes": sector_bytes,
        "agent": agent,
    }
    client = client_of(context)
    if file is not None:
        answer = upload(client, "/v1/images/import/upload", file, given(body | {"file": file.name}))
    else:
        access = image_file.access_of(bearer, user, password, authority, proxy)
        answer = client.post("/v1/images/import", given(body | {"url": url, "access": access}))
    if not wait:
        show(answer, json, f"image {name} {answer['status']}: bmsctl image show {name} says how far it is")
        return
    terminal = console()
    terminal.stderr = json
    image = watch_import(client.silent, answer["id"], terminal)
    show(client.get(f"/v1/images/{escaped(image.id)}") if json else None, json, f"image {name} active: {image.digest}")


def must_be_one(doing: str, file: Path | None, url: str | None) -> None:
    """Raises `InputError`."""
    if (file is None) == (url is None):
        raise InputError(doing, "give either --file or --url", hint="See bmsctl image --help.")


def described_beside(file: Path, body: dict[str, Any]) -> dict[str, Any]:
    """What is said, and for the rest what image.json beside the file says."""
    sidecar = image_file.read_sidecar(file)
    beside = {
        "sha256": sidecar.sha256.get(file.name) if body["sha512"] is None else None,
        "min_disk_gb": sidecar.min_disk_gb,
        "firmware": image_file.firmware_of(sidecar),
        "agent": sidecar.agent,
        "file": file.name,
    }
    return given(beside) | given(body)


def given(body: dict[str, Any]) -> dict[str, Any]:
    """What was said."""
    return {name: value for name, value in body.items() if value is not None}


def upload(client: Client, path: str, file: Path, told: dict[str, Any]) -> Any:
    """Send the file, with a bar on a terminal."""
    query = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in told.items()}
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Screen(stderr=True), transient=True) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size if file.is_file() else None)
        return client.upload(path, file, query, lambda sent: progress.advance(task, sent))


@app.command("list")
def list_images(context: typer.Context, json: Json = False) -> None:
    """Every image."""
    answer = client_of(context).get("/v1/images")
    images = read(tuple[Image, ...], answer)
    columns = ("NAME", "STATUS", "FORMAT", "FILE", "DISK", "MIN DISK", "FIRMWARE", "DIGEST")
    table = rows(
        columns,
        (
            (
                image.name,
                str(image.progress) if image.progress else image.status,
                image.format,
                gigabytes(image.file_bytes),
                gigabytes(image.size_bytes),
                f"{image.min_disk_gb} GB",
                image.firmware,
                short(image.digest),
            )
            for image in images
        ),
        spare=("FILE", "DIGEST", "FIRMWARE", "MIN DISK", "DISK", "FORMAT"),
    )
    show(answer, json, table)


def short(digest: str | None) -> str | None:
    """Enough of it to tell it from others."""
    return digest if digest is None or digest.startswith("by ") else digest.partition(" ")[2][:12]


@app.command("show")
def show_image(context: typer.Context, image: str, json: Json = False) -> None:
    """One image, by id or name."""
    answer = client_of(context).get(f"/v1/images/{escaped(image)}")
    it = read(Image, answer)
    about = dict(it) | {
        "progress": str(it.progress) if it.progress else None,
        "access": str(it.access),
        "fault": f"{it.fault.code}: {it.fault.message}" if it.fault else None,
        "to do": it.fault.hint if it.fault else None,
    }
    show(answer, json, facts(about))


@app.command("delete")
def delete(context: typer.Context, image: str, json: Json = False) -> None:
    """Delete an image that no server has."""
    answer = client_of(context).delete(f"/v1/images/{escaped(image)}")
    show(answer, json, f"image {image} deleted")
