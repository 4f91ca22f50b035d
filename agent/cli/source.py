# SPDX-License-Identifier: Apache-2.0
"""How a command line names an image: where it is, how its server lets us in, what it must be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr, ValidationError

from agent.errors import ConfigError, InputError
from agent.model.frozen import faults
from agent.model.image import Access, ImageFormat, ImageRef

if TYPE_CHECKING:
    from agent.host.doors import Host

Where = Annotated[str, typer.Argument(help="URL (http, https, oci), file, or '-' for the standard input")]
Sha256 = Annotated[str | None, typer.Option(help="digest of the file as it travels; of a chunked image's manifest")]
Sha512 = Annotated[str | None, typer.Option(help="the same, by SHA-512")]
Checksums = Annotated[str | None, typer.Option(help="URL or file like SHA256SUMS that has its digest")]
Format = Annotated[ImageFormat | None, typer.Option("--format", help="left out, its content says it")]
Mirrors = Annotated[list[str] | None, typer.Option("--mirror", help="URL of the same file elsewhere; may be repeated")]
Bearer = Annotated[Path | None, typer.Option("--bearer-file", help="file with a bearer token")]
User = Annotated[str | None, typer.Option("--user", help="user name for the image's server")]
Password = Annotated[Path | None, typer.Option("--password-file", help="file with that user's password")]
Authority = Annotated[Path | None, typer.Option("--ca", help="PEM file with the only authorities to trust")]
Proxy = Annotated[str | None, typer.Option("--proxy", help="http://host:port; left out, the environment's")]
NOBODY_KNOWS = "0" * 64


def located(where: str) -> str:
    """A URL as it is; a path as a URL; "-" as it is."""
    return where if where == "-" or "://" in where else f"file://{Path(where).absolute()}"


def reference(
    where: str,
    digests: tuple[str | None, str | None, str | None],
    image_format: ImageFormat | None,
    entrance: Access,
    mirrors: list[str] | None = None,
) -> ImageRef:
    """The image, with or without one of sha256, sha512 and checksums, which a write has to have. What its format is, is
    seen later where it is not said. Raises `InputError`.
    """
    if where != "-" and "://" not in where and (not Path(where).exists() or Path(where).is_dir()):
        raise InputError("reading the command line", f"there is no file {where}", hint="Give a file, or a URL.")
    sha256, sha512, checksums = digests
    try:
        image = ImageRef(
            url=located(where),
            mirrors=tuple(mirrors or ()),
            format=image_format or ImageFormat.RAW,
            sha256=sha256 or (None if sha512 or checksums else NOBODY_KNOWS),
            sha512=sha512,
            checksums=located(checksums) if checksums else None,
            access=entrance,
        )
    except ValidationError as error:
        raise InputError("reading the command line", faults(error), hint="See --help.") from None
    return image.model_copy(update={"sha256": sha256})


def access(
    bearer: Path | None, user: str | None, password: Path | None, authority: Path | None, proxy: str | None
) -> Access:
    """Credentials come from files, so that no list of processes shows them. Raises `ConfigError`."""
    return Access(
        bearer=secret(bearer),
        username=user,
        password=secret(password),
        ca_pem=text(authority),
        proxy=proxy,
    )


def secret(path: Path | None) -> SecretStr | None:
    """The first line of a file."""
    content = text(path)
    return None if content is None else SecretStr(content.partition("\n")[0])


def text(path: Path | None) -> str | None:
    """A file's text."""
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"reading {path}", "it cannot be read as text") from error


def trusted_keys(host: Host) -> tuple[str, ...]:
    """Public keys that this machine's settings trust."""
    from agent.cli.resident import settings_of

    return settings_of(host, with_cmdline=True).images.trusted_keys
