# SPDX-License-Identifier: Apache-2.0
"""The file of a backup: an ordinary tar with the database, the keys, the images, and at its end a manifest with the
size and SHA-256 of each. Without its end it is no backup.

The database is copied first; then the images that it names, which never change under their ids. So what is in the file
belongs together, whatever the controller does meanwhile. An image that is deleted in that second is left out, and the
restored controller says so.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO

from pydantic import Field

from agent import __version__
from agent.controller.durable import settle
from agent.controller.images import image_path, room_for
from agent.controller.options import Options
from agent.controller.records.image import ImageStatus
from agent.controller.store.database import open_store
from agent.controller.store.snapshot import snapshot
from agent.controller.tls import CA_FILE
from agent.errors import ConfigError
from agent.model.frozen import Frozen, decode

DATABASE = "controller.sqlite"
KEYS = ("secret-key", "admin-token")
MAYBE = (CA_FILE,)
"""Of a controller with TLS."""
PLACE = ".backup-"
ABANDONED_S = 86400.0
MANIFEST = "backup.json"
MANIFEST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
NAMES = re.compile(
    r"controller\.sqlite|secret-key|admin-token|ca-key\.pem|images/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""What may be in one. Whatever else a file claims to hold is not unpacked."""
POSTGRES = "Use pg_dump and pg_restore for the database, and copy the data directory: README, Backups."


class Entry(Frozen):
    """One file."""

    size_bytes: int = Field(ge=0)
    sha256: str


class Manifest(Frozen):
    """What is in a backup."""

    format: int = 1
    version: str
    made_at: datetime
    with_images: bool
    files: dict[str, Entry]


def write_backup(options: Options, target: Path, now: datetime, *, with_images: bool) -> Manifest:
    """Make a backup of the controller with these options, whether it runs or not. Raises `ConfigError`, `NoSpace`.

    Nobody else may read the file: it holds the keys of the cloud. It is there whole, or not at all.
    """
    doing = f"backing up {options.data} to {target}"
    if options.database is not None:
        raise ConfigError(doing, "its records are in a database of their own", hint=POSTGRES)
    if not (options.data / DATABASE).is_file():
        raise ConfigError(doing, f"there is no {DATABASE}", hint="Name the directory that the controller runs on.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    _forget(now, *options.data.glob(f"{PLACE}*"), *target.parent.glob(f".{target.name}.*.part"))
    try:
        with room_for(doing), TemporaryDirectory(dir=options.data, prefix=PLACE) as place:
            copy = Path(place) / DATABASE
            snapshot(options.data / DATABASE, copy)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                manifest = _write(options, copy, file, now, with_images=with_images)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
            settle(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _forget(now: datetime, *left: Path) -> None:
    """What backups left that were killed: copies of all records, and halves of files. None that may be at work."""
    for path in left:
        if path.stat().st_mtime < now.timestamp() - ABANDONED_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write(options: Options, database: Path, file: BinaryIO, now: datetime, *, with_images: bool) -> Manifest:
    entries: dict[str, Entry] = {}
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, path in _content(options, database, with_images=with_images):
            try:
                source = path.open("rb")
            except FileNotFoundError:
                continue  # deleted since the database was copied
            with source:
                entries[name] = _add(tar, name, source)
        manifest = Manifest(version=__version__, made_at=now, with_images=with_images, files=entries)
        text = manifest.model_dump_json(indent=1).encode()
        tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
    return manifest


def _content(options: Options, database: Path, *, with_images: bool) -> Iterator[tuple[str, Path]]:
    yield DATABASE, database
    for name in (*KEYS, *MAYBE):
        if name in KEYS or (options.data / name).exists():
            yield name, options.data / name
    if with_images:
        for image_id in kept_images(f"sqlite:///{database}"):
            yield f"images/{image_id}", image_path(options.data / "images", image_id)


def kept_images(url: str) -> tuple[str, ...]:
    """Images whose file is ours."""
    store = open_store(url)
    try:
        with store.read() as tx:
            return tuple(image.id for image in tx.images.all(url=None, status=ImageStatus.ACTIVE))
    finally:
        store.close()


class _Hashed(io.RawIOBase):
    """A file, with the digest of what was read of it."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._source.read(size)
        self.sha256.update(piece)
        return piece


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _add(tar: tarfile.TarFile, name: str, source: BinaryIO) -> Entry:
    size = os.fstat(source.fileno()).st_size
    hashed = _Hashed(source)
    tar.addfile(_member(name, size), hashed)
    return Entry(size_bytes=size, sha256=hashed.sha256.hexdigest())


def read_backup(source: Path, target: Path | None) -> Manifest:
    """Check every byte of a backup, and unpack it into `target` if there is one. Raises `ConfigError`, `NoSpace`."""
    doing = f"reading the backup {source}"
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    try:
        with room_for(doing), source.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if (
                    content is None
                    or manifest is not None
                    or not (member.name == MANIFEST or NAMES.fullmatch(member.name))
                ):
                    raise ConfigError(doing, f"{member.name!r} does not belong into a backup")
                if member.name == MANIFEST:
                    manifest = decode(Manifest, content.read(MANIFEST_BYTES), doing)
                else:
                    found[member.name] = _unpack(content, target / member.name if target else None)
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(doing, str(error) or type(error).__name__, hint="Take another backup.") from error
    if manifest is None:
        raise ConfigError(doing, "its end is missing", hint="It was cut short: take another backup.")
    _must_agree(doing, manifest, found)
    return manifest


def _unpack(content: IO[bytes], path: Path | None) -> Entry:
    sha256, size = hashlib.sha256(), 0
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") if path else None
    try:
        while piece := content.read(PIECE_BYTES):
            sha256.update(piece)
            size += len(piece)
            if file is not None:
                file.write(piece)
        if file is not None:
            file.flush()
            os.fsync(file.fileno())
    finally:
        if file is not None:
            file.close()
    return Entry(size_bytes=size, sha256=sha256.hexdigest())


def _must_agree(doing: str, manifest: Manifest, found: dict[str, Entry]) -> None:
    if manifest.format != 1:
        raise ConfigError(
            doing, f"it has format {manifest.format}", hint="Use the release that made it, or a newer one."
        )
    wrong = sorted(name for name in {*found, *manifest.files} if found.get(name) != manifest.files.get(name))
    missing = sorted({DATABASE, *KEYS} - found.keys())
    if wrong or missing:
        raise ConfigError(doing, f"damaged: {', '.join(wrong or missing)}", hint="Take another backup.")
