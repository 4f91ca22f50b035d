# SPDX-License-Identifier: Apache-2.0
"""What nodes send for those who look for a fault: bundles of logs, as files, a few a node, the oldest makes room.

Nothing is unpacked here. A name is made of when it came and of its digest, and nothing that a node says is in it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from agent.controller.images import room_for
from agent.controller.refusal import BadParameter, Missing
from agent.model.bundle import LARGEST_BYTES
from agent.model.frozen import Frozen

KEPT = 5
"""Of one node; of all of them, its size being bounded, so much as they may take of the disk."""
NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{12}\.tar\.gz")
TIME = "%Y%m%dT%H%M%SZ"
PART = "part-"
GZIP = b"\x1f\x8b"


class Bundle(Frozen):
    """One that is kept."""

    name: str
    taken_at: datetime
    size_bytes: int


class Incoming:
    """One that is on its way: written beside the others, and among them once it is whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._digest = hashlib.sha256()
        self._size = 0
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix=PART, delete=False)  # noqa: SIM115 - see `discard`

    def write(self, part: bytes) -> None:
        """The next bytes. Raises `BadParameter`, `NoSpace`."""
        self._size += len(part)
        if self._size > LARGEST_BYTES:
            raise BadParameter("taking a bundle", f"it has more than {LARGEST_BYTES} bytes")
        self._digest.update(part)
        with room_for("taking a bundle"):
            self._file.write(part)

    def keep(self, now: datetime, signed: str | None = None) -> Bundle:
        """All of it came; `signed` is the digest of what was to come. Raises `BadParameter`, `NoSpace`."""
        if signed not in (None, self._digest.hexdigest()):
            raise BadParameter("taking a bundle", "its bytes are not those that were signed")
        with room_for("taking a bundle"):
            self._file.close()
        written = Path(self._file.name)
        with written.open("rb") as file:
            if file.read(len(GZIP)) != GZIP:
                raise BadParameter("taking a bundle", "it is not packed with gzip")
        name = f"{now.astimezone(UTC).strftime(TIME)}-{self._digest.hexdigest()[:12]}.tar.gz"
        written.replace(self._folder / name)
        for old in bundles(self._folder)[KEPT:]:
            (self._folder / old.name).unlink(missing_ok=True)
        return one(self._folder / name)

    def discard(self) -> None:
        """What was not kept."""
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)


def bundles(folder: Path) -> tuple[Bundle, ...]:
    """Of a node, the newest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(one(path) for path in sorted(found, reverse=True) if NAME.fullmatch(path.name))


def bundle_path(folder: Path, name: str) -> Path:
    """Raises `Missing`."""
    path = folder / name
    if not NAME.fullmatch(name) or not path.is_file():
        raise Missing("fetching a bundle", f"the node has no bundle {name}")
    return path


def one(path: Path) -> Bundle:
    """By its name and its file."""
    taken_at = datetime.strptime(path.name.partition("-")[0], TIME).replace(tzinfo=UTC)
    return Bundle(name=path.name, taken_at=taken_at, size_bytes=path.stat().st_size)


def forget_parts(directory: Path) -> None:
    """Those that an earlier process was killed in."""
    for part in directory.glob(f"*/{PART}*"):
        part.unlink(missing_ok=True)
