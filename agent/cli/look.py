# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image inspect` and `verify`: what an image is, and whether it and a disk are as they should be."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import source
from agent.cli.pack import Json, report
from agent.errors import InputError
from agent.model.disk import GB
from agent.model.image import ImageFormat, ImageRef
from agent.program.printable import printable
from agent.program.wait import waiting

if TYPE_CHECKING:
    from agent.apply.inspect import Looked
    from agent.host.doors import Host
    from agent.model.job import Advance, Result

Disk = Annotated[str | None, typer.Argument(metavar="[DISK]", help="compare this disk with the image, too")]
Keys = Annotated[list[str] | None, typer.Option("--key", metavar="KEY", help="public key; may be repeated")]
UNKNOWN = "unknown until it is unpacked"


def inspect(
    where: source.Where,
    keys: Keys = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    json: Json = False,
) -> None:
    """What an image is, by its content: a few hundred KB of it are fetched, whatever its size."""
    from agent.apply.inspect import STDIN, look
    from agent.cli.machine import host as open_host

    if where == STDIN:
        raise InputError("looking at the standard input", "a stream cannot be looked at", hint="Give a file or a URL.")
    host = open_host()
    entrance = source.access(bearer, user, password, authority, proxy)
    with waiting("looking at the image"):
        seen = look(host, source.reference(where, (None, None, None), None, entrance))
    trusted = (*(keys or ()), *source.trusted_keys(host))
    told = facts(seen, trusted)
    if json:
        typer.echo(dumps(told, indent=2))
    else:
        typer.echo("\n".join(f"{name:18} {shown(value)}" for name, value in told.items()))


def verify(
    where: source.Where,
    disk: Disk = None,
    sha256: source.Sha256 = None,
    sha512: source.Sha512 = None,
    checksums: source.Checksums = None,
    image_format: source.Format = None,
    keys: Keys = None,
    mirrors: source.Mirrors = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    json: Json = False,
) -> None:
    """Verify every byte of an image, or compare a disk with it. Nothing is written.

    A chunked image is verified by its own digests, any other by one that is given; the digest that it has is printed.
    """
    from agent.cli.bar import advancing
    from agent.cli.machine import host as open_host

    host = open_host()
    if disk is not None and not Path(disk).is_block_device():
        raise InputError("reading the command line", f"{disk} is no disk", hint="Give a block device: /dev/…")
    entrance = source.access(bearer, user, password, authority, proxy)
    image = source.reference(where, (sha256, sha512, checksums), image_format, entrance, mirrors)
    trusted = (*(keys or ()), *source.trusted_keys(host))
    with advancing("verifying") as advance:
        result = verified(host, image, image_format, disk, trusted, advance)
    report(result, json=json)


def verified(
    host: Host, image: ImageRef, said: ImageFormat | None, disk: str | None, keys: tuple[str, ...], advance: Advance
) -> Result:
    """By what it is."""
    from agent.apply.chunked.unpack import verify_chunked
    from agent.apply.convert import settled
    from agent.apply.verify import compare_chunked, compare_stream, is_named, verify_file

    if image.url == "-" and said is None and disk is None:
        return verify_file(host, image, advance)
    known = settled(host, image, said)
    image = known.image
    if image.format is not ImageFormat.CHUNKED and disk is None:
        return verify_file(host, image, advance)
    if known.seen is not None and known.seen.manifest is not None and not is_named(image):
        image = image.model_copy(update={"sha256": known.seen.manifest.digest})
    if image.format is ImageFormat.CHUNKED:
        return compare_chunked(host, image, disk, keys, advance) if disk else verify_chunked(host, image, keys, advance)
    return compare_stream(host, known.authentic(host, lambda _, *how: advance(*how)), str(disk), advance)


def facts(seen: Looked, trusted: tuple[str, ...]) -> dict[str, Any]:
    """What was seen, in order; nothing that is not known or does not apply."""
    told: dict[str, Any] = {
        "image": seen.name,
        "kind": str(seen.kind or "not known by its content"),
        "format": seen.format and str(seen.format),
        "file_bytes": seen.file_bytes,
        "image_bytes": seen.disk_bytes,
        "sha256": seen.sha256,
    }
    manifest = seen.manifest
    if manifest is not None:
        told |= {
            "chunks": len(manifest),
            "chunk_bytes": manifest.chunk_bytes,
            "data_bytes": manifest.data_bytes,
            "stored_bytes": manifest.frames_bytes,
            "is_store": seen.is_store,
            "signature": signature(seen, trusted),
        }
    if seen.description is not None:
        told |= seen.description.model_dump(mode="json", exclude_none=True)
    if seen.obstacle is not None:
        told |= {"not_written": str(seen.obstacle), "to_do": seen.obstacle.hint}
    return {name: value for name, value in told.items() if value is not None}


def signature(seen: Looked, trusted: tuple[str, ...]) -> str:
    """Who signed it; a signature does not say whose it is, so keys are tried."""
    from agent.model.image_signature import is_signed_by, raw_key

    if seen.manifest is None or seen.signature is None:
        return "none"
    for key in map(raw_key, trusted):
        if is_signed_by(seen.manifest.payload, seen.signature, key):
            return f"by {key}"
    return f"by a key that is none of the {len(trusted)} known here" if trusted else "there; give --key to check it"


def shown(value: Any) -> str:
    """For people."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if value >= GB:
            return f"{value} ({value / GB:.2f} GB)"
        case list():
            return printable(", ".join(value)) or "none"
        case _:
            return printable(str(value))
