# SPDX-License-Identifier: Apache-2.0
"""`bmsctl image`: OS images, uploaded or registered by their URL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field, ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from agent.bmsctl.answers import Image
from agent.bmsctl.client import Client, escaped, read
from agent.bmsctl.show import Json, client_of, facts, gigabytes, rows, show
from agent.errors import ConfigError, InputError
from agent.model.frozen import Reply, faults

SIDECAR = "image.json"
FORMATS = {".zst": "raw.zst", ".raw": "raw", ".img": "raw"}

app = typer.Typer(no_args_is_help=True, help="Images: operating systems to deploy.")


class Sidecar(Reply):
    """`image.json` beside the file, as `images/debian` writes it: what need not be said again."""

    sha256: dict[str, str] = Field(default_factory=dict)
    min_disk_gb: int | None = None
    firmware: tuple[str, ...] = ()
    agent: bool | None = None


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    file: Annotated[Path | None, typer.Option(help="upload this file")] = None,
    url: Annotated[str | None, typer.Option(help="or let the nodes fetch it from here")] = None,
    sha256: Annotated[str | None, typer.Option(help="of the file as it travels; needed with --url")] = None,
    format: Annotated[str | None, typer.Option(help="raw or raw.zst; left out, the name's ending says it")] = None,
    min_disk_gb: Annotated[int | None, typer.Option(help="smallest disk that it may be written to")] = None,
    firmware: Annotated[str | None, typer.Option(help="uefi, bios or both")] = None,
    agent: Annotated[bool | None, typer.Option(help="whether the bms-agent service is in it")] = None,
    json: Json = False,
) -> None:
    """Create an image. What image.json beside the file says need not be said again."""
    if (file is None) == (url is None):
        raise InputError("creating an image", "give either --file or --url", hint="See bmsctl image create --help.")
    sidecar = read_sidecar(file) if file else Sidecar()
    body: dict[str, Any] = {
        "name": name,
        "format": format or format_of(str(file or url)),
        "sha256": sha256 or (sidecar.sha256.get(file.name) if file else None),
        "min_disk_gb": min_disk_gb or sidecar.min_disk_gb,
        "firmware": firmware or firmware_of(sidecar),
        "agent": sidecar.agent if agent is None else agent,
    }
    given = {name: value for name, value in body.items() if value is not None}
    client = client_of(context)
    answer = upload(client, file, given) if file else client.post("/v1/images", given | {"url": url})
    show(answer, json, f"image {name} created: {answer['sha256']}")


def upload(client: Client, file: Path, given: dict[str, Any]) -> Any:
    """Send the file, with a bar on a terminal."""
    query = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size if file.is_file() else None)
        return client.upload("/v1/images/upload", file, query, lambda sent: progress.advance(task, sent))


def read_sidecar(file: Path) -> Sidecar:
    """What image.json beside the file says, if it speaks of this file. Raises `ConfigError`."""
    path = file.parent / SIDECAR
    if not path.is_file():
        return Sidecar()
    try:
        sidecar = Sidecar.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = faults(error) if isinstance(error, ValidationError) else "it is not UTF-8"
        raise ConfigError(f"reading {path}", reason) from None
    return sidecar if file.name in sidecar.sha256 else Sidecar()


def firmware_of(sidecar: Sidecar) -> str | None:
    """`["uefi", "bios"]` is both."""
    return "both" if len(sidecar.firmware) > 1 else next(iter(sidecar.firmware), None)


def format_of(name: str) -> str:
    """By the name's ending. Raises `InputError`."""
    ending = Path(name.partition("?")[0]).suffix
    if ending not in FORMATS:
        raise InputError("creating an image", f"the format of {name} is not known", hint="Say --format raw|raw.zst.")
    return FORMATS[ending]


@app.command("list")
def list_images(context: typer.Context, json: Json = False) -> None:
    """Every image."""
    answer = client_of(context).get("/v1/images")
    images = read(tuple[Image, ...], answer)
    columns = ("NAME", "FORMAT", "FILE", "DISK", "MIN DISK", "FIRMWARE", "SHA256")
    table = rows(
        columns,
        (
            (
                image.name,
                image.format,
                gigabytes(image.file_bytes),
                gigabytes(image.size_bytes),
                f"{image.min_disk_gb} GB",
                image.firmware,
                image.sha256[:12],
            )
            for image in images
        ),
    )
    show(answer, json, table)


@app.command("show")
def show_image(context: typer.Context, image: str, json: Json = False) -> None:
    """One image, by id or name."""
    answer = client_of(context).get(f"/v1/images/{escaped(image)}")
    show(answer, json, facts(dict(read(Image, answer))))


@app.command("delete")
def delete(context: typer.Context, image: str, json: Json = False) -> None:
    """Delete an image that no server has."""
    answer = client_of(context).delete(f"/v1/images/{escaped(image)}")
    show(answer, json, f"image {image} deleted")
