# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image pack` and `unpack`: a disk, or any image, into a chunked image; any image into a raw file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import source
from agent.errors import ConfigError, InputError
from agent.model.disk import MIB
from agent.model.job import Result

if TYPE_CHECKING:
    from agent.apply.chunked.pack import Options
    from agent.apply.convert import Pack, Unpack

From = Annotated[str, typer.Argument(metavar="SOURCE", help="URL, file, block device, or '-' for the standard input")]
Force = Annotated[bool, typer.Option("--force", help="an existing destination may go")]
Plan = Annotated[bool, typer.Option("--plan", help="only show what would be done")]
Json = Annotated[bool, typer.Option("--json", help="the plan, or the result, as JSON")]
Store = Annotated[Path | None, typer.Option("--store", help="folder of a content-addressed store")]
Sign = Annotated[Path | None, typer.Option("--sign", help="Ed25519 key: openssl genpkey -algorithm ed25519 -out KEY")]
MOST_THREADS = 64
UNITS = {"": 1, "K": 1024, "M": MIB}
FIRMWARE = ("uefi", "bios")
SECTORS = (512, 4096)


def pack(
    where: From,
    to: Annotated[str, typer.Argument(metavar="DEST", help="a file; with --store, the image's name there")],
    store: Store = None,
    sign: Sign = None,
    level: Annotated[int | None, typer.Option(min=1, max=19, help="of zstd")] = None,
    chunk: Annotated[str | None, typer.Option(help="size of a chunk: 512K, 1M, 2M …")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=MOST_THREADS, help="left out, one a processor")] = None,
    os: Annotated[str | None, typer.Option("--os", help="what the image says it is")] = None,
    firmware: Annotated[str | None, typer.Option(help="what can boot it: uefi, bios or uefi,bios")] = None,
    min_disk_gb: Annotated[int | None, typer.Option(min=1, help="the smallest disk for it")] = None,
    sector_bytes: Annotated[int | None, typer.Option(help="for disks with these sectors: 512 or 4096")] = None,
    sha256: source.Sha256 = None,
    sha512: source.Sha512 = None,
    checksums: source.Checksums = None,
    image_format: source.Format = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    force: Force = False,
    plan: Plan = False,
    json: Json = False,
) -> None:
    """Pack a disk, or any image, into a chunked image: written by many threads, resumed, verified chunk by chunk.

    It is an ordinary .zst: zstd -d makes the raw disk of it.

    The sha256 that is printed is what image write wants; the public key of a signed image, what bms.image_keys wants.
    """
    from agent.apply import convert
    from agent.apply.chunked.put import Destination
    from agent.cli.machine import host as open_host

    host = open_host()
    said = {
        "os": os,
        "firmware": firmwares(firmware),
        "min_disk_gb": min_disk_gb,
        "sector_bytes": sectors(sector_bytes),
    }
    destination = Destination(
        named_in_store(to) if store is not None else absolute(to),
        None if store is None else absolute(store),
        options(level, chunk, threads or host.counters.threads(), sign),
        {name: value for name, value in said.items() if value is not None},
    )
    must_be_free(destination.path, destination.store, force=force)
    entrance = source.access(bearer, user, password, authority, proxy)
    image = source.reference(where, (sha256, sha512, checksums), image_format, entrance)
    given = convert.Given(host, image, image_format, source.trusted_keys(host))
    with nullcontext() if plan or store is None else made(store):
        perform(convert.Pack(given, destination, Path(where).is_block_device()), plan=plan, json=json)


def unpack(
    where: From,
    to: Annotated[str, typer.Argument(metavar="DEST", help="the raw file")],
    sha256: source.Sha256 = None,
    sha512: source.Sha512 = None,
    checksums: source.Checksums = None,
    image_format: source.Format = None,
    bearer: source.Bearer = None,
    user: source.User = None,
    password: source.Password = None,
    authority: source.Authority = None,
    proxy: source.Proxy = None,
    force: Force = False,
    plan: Plan = False,
    json: Json = False,
) -> None:
    """Unpack any image into a raw file, sparse, and verified on its way."""
    from agent.apply import convert
    from agent.cli.machine import host as open_host

    host = open_host()
    must_be_free(absolute(to), force=force)
    entrance = source.access(bearer, user, password, authority, proxy)
    image = source.reference(where, (sha256, sha512, checksums), image_format, entrance)
    given = convert.Given(host, image, image_format, source.trusted_keys(host))
    perform(convert.Unpack(given, absolute(to)), plan=plan, json=json)


def perform(work: Pack | Unpack, *, plan: bool, json: bool) -> None:
    """Show what would be done, or do it with a bar."""
    from agent.cli.bar import bar

    if plan:
        steps = work.plan()
        lines = [f"{place}. {step}" for place, step in enumerate(steps, start=1)]
        typer.echo(dumps({"steps": steps}, indent=2) if json else "\n".join(lines))
        return
    with bar() as show:
        result = work.run(show)
    report(result, json=json)


def report(result: Result, *, json: bool) -> None:
    """What came of it."""
    lines = [f"{name:16} {value}" for name, value in result.items()]
    typer.echo(dumps(result, indent=2) if json else "\n".join(lines))


def options(level: int | None, chunk: str | None, threads: int, sign: Path | None) -> Options:
    """How to pack. Raises `InputError`, `ConfigError`."""
    from agent.apply.chunked.pack import Options, suitable
    from agent.apply.chunked.sign import signing_key

    found = Options(threads=threads)
    found = found if level is None else replace(found, level=level)
    found = found if chunk is None else replace(found, chunk_bytes=suitable(bytes_of(chunk), 1))
    if sign is None:
        return found
    try:
        pem = sign.read_bytes()
    except OSError as error:
        raise ConfigError(f"reading {sign}", error.strerror or "failed") from error
    signing_key(pem)
    return replace(found, signing_pem=pem)


def bytes_of(text: str) -> int:
    """512K, 2M, or bytes."""
    found = re.fullmatch(r"(\d{1,12})([KM]?)(?:iB)?", text)
    if found is None:
        raise InputError("reading the command line", f"--chunk {text} is no size", hint="Say 512K, 1M, 2M or 4M.")
    return int(found[1]) * UNITS[found[2]]


def firmwares(text: str | None) -> tuple[str, ...] | None:
    """As a list."""
    names = None if text is None else tuple(text.split(","))
    if names is not None and not set(names) <= set(FIRMWARE):
        told = f"--firmware {text} is not known"
        raise InputError("reading the command line", told, hint="Say uefi, bios or uefi,bios.")
    return names


def sectors(size: int | None) -> int | None:
    """Those that there are."""
    if size not in (None, *SECTORS):
        told = f"no disk has sectors of {size} bytes"
        raise InputError("reading the command line", told, hint="Say 512 or 4096.")
    return size


def named_in_store(name: str) -> str:
    """A name, not a path."""
    if "/" in name or name in ("", ".", ".."):
        told = f"{name!r} is no name of an image in a store"
        raise InputError("reading the command line", told, hint="pack SOURCE NAME --store DIR")
    return name


def absolute(path: str | Path) -> str:
    """As it is told from anywhere."""
    return str(Path(path).absolute())


@contextmanager
def made(store: Path) -> Iterator[None]:
    """The folder; gone again if it is empty after an error."""
    is_new = not store.exists()
    try:
        store.mkdir(exist_ok=True)
        yield
    except BaseException:
        folders = [store, *(path for path in store.rglob("*") if path.is_dir())] if is_new else []
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def must_be_free(path: str, store: str | None = None, *, force: bool) -> None:
    """Nothing is written over that was not meant to be, and never what is no file; there is a folder for it."""
    there, folder = Path(path), Path(store or path).parent
    if (there.exists() and not there.is_file()) or there.is_relative_to("/dev"):
        hint = "A disk is written by image write."
        raise InputError(f"writing {path}", "that is the place of something that is no file", hint=hint)
    if there.exists() and not force:
        raise InputError(f"writing {path}", "it is there already", hint="Choose another name, or say --force.")
    if not folder.is_dir() or (store is not None and Path(store).exists() and not Path(store).is_dir()):
        told = f"there is no folder {store if folder.is_dir() else folder}"
        raise InputError(f"writing {path}", told, hint="Make it, or choose another.")
