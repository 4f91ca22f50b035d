# SPDX-License-Identifier: Apache-2.0
"""An image's file or URL as it is named on the command line: its format, what stands beside it, its credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field, ValidationError

from agent.bmsctl.named import text_of, unread
from agent.errors import ConfigError, ImageRefused, InputError
from agent.model.frozen import Reply, faults
from agent.model.image import ImageFormat
from agent.model.image_kind import FORMATS, HEAD_BYTES, TAIL_BYTES, format_by_name, kind_of, misfit

SIDECAR = "image.json"

Bearer = Annotated[Path | None, typer.Option("--bearer-file", help="file with a bearer token for the URL")]
User = Annotated[str | None, typer.Option("--user", help="user name for the URL")]
Password = Annotated[Path | None, typer.Option("--password-file", help="file with that user's password")]
Authority = Annotated[Path | None, typer.Option("--ca", help="PEM file with the only authorities to trust")]
Proxy = Annotated[str | None, typer.Option("--proxy", help="http://host:port; left out, the environment's there")]


class Sidecar(Reply):
    """`image.json` beside the file, as `images/debian` writes it: what need not be said again."""

    sha256: dict[str, str] = Field(default_factory=dict)
    min_disk_gb: int | None = None
    firmware: tuple[str, ...] = ()
    agent: bool | None = None


def read_sidecar(file: Path) -> Sidecar:
    """What image.json beside the file says, if it speaks of this file. Raises `ConfigError`."""
    path = file.parent / SIDECAR
    if not path.is_file():
        return Sidecar()
    try:
        sidecar = Sidecar.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = faults(error) if isinstance(error, ValidationError) else "it is not UTF-8"
        hint = "It stands beside the image: correct it, or move it away."
        raise ConfigError(f"reading {path}", reason, hint=hint) from None
    return sidecar if file.name in sidecar.sha256 else Sidecar()


def firmware_of(sidecar: Sidecar) -> str | None:
    """`["uefi", "bios"]` is both."""
    return "both" if len(sidecar.firmware) > 1 else next(iter(sidecar.firmware), None)


def format_of_url(url: str) -> str:
    """By its name. Raises `InputError`."""
    found = format_by_name(url)
    if found is None:
        hint = f"Say it: --format {'|'.join(ImageFormat)}."
        raise InputError("creating an image", f"the ending of {url} does not say its format", hint=hint)
    return found


def format_of_file(file: Path, said: ImageFormat | None) -> ImageFormat | None:
    """As said; by its name where its content says nothing; None where its content will say it to the controller.

    What will be refused is refused before gigabytes are sent. Raises `ImageRefused`, `InputError`, `ConfigError`.
    """
    doing = f"looking at {file}"
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
            opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
            kind = kind_of(head, file.name, opened.read())
    except OSError as error:
        raise unread(doing, error) from None
    if kind is None and said is None:
        said = format_by_name(file.name)
        if said is not ImageFormat.RAW:
            hint = "Say it: --format raw, for a raw disk."
            raise InputError(doing, "its format is not known by its content", hint=hint)
    if kind is not None and kind not in FORMATS:
        hint = "Let the controller convert it: bmsctl image import NAME --file FILE."
        raise ImageRefused(doing, f"it is {kind}, which is not written on a host", hint=hint)
    other = misfit(kind, said) if said is not None else None
    if other is not None:
        raise InputError(doing, other[0], hint=f"{other[1][0].upper()}{other[1][1:]}.")
    return said


def access_of(
    bearer: Path | None, user: str | None, password: Path | None, authority: Path | None, proxy: str | None
) -> dict[str, Any] | None:
    """Credentials come from files, so that no list of processes shows them; None: none. Raises `ConfigError`."""
    given = {
        "bearer": first_line(bearer),
        "username": user,
        "password": first_line(password),
        "ca_pem": text(authority),
        "proxy": proxy,
    }
    given = {name: value for name, value in given.items() if value is not None}
    return given or None


def first_line(path: Path | None) -> str | None:
    """Of a file with a secret. Raises `ConfigError`."""
    content = text(path)
    return None if content is None else content.partition("\n")[0]


def text(path: Path | None) -> str | None:
    """A file's text. Raises `ConfigError`."""
    return None if path is None else text_of(path, f"reading {path}")
