# SPDX-License-Identifier: Apache-2.0
"""The file of an import on its way in: kept as it is, hashed, and refused by its first bytes where it can be."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from agent.controller.durable import settle
from agent.controller.images import LARGEST_BYTES, Announced, room_for
from agent.controller.imports.kinds import importable
from agent.controller.refusal import BadImage
from agent.model.disk import GB
from agent.model.image_kind import HEAD_BYTES

DOING = "importing an image"
SOURCE = "source"
"""The file, in the import's directory."""


def forget_parts(directory: Path, wanted: set[str]) -> None:
    """What an earlier process left: files that were cut off, and directories of imports that are no more."""
    for path in directory.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


class Incoming:
    """`write` its parts, then `settle` or `discard`. One thread at a time."""

    def __init__(self, directory: Path, import_id: str, kind: str | None, name: str, announced: Announced) -> None:
        self._directory = directory / import_id
        self._kind, self._name, self._announced = kind, name, announced
        self._sha256, self._sha512 = hashlib.sha256(), hashlib.sha512()
        self._head = bytearray()
        self._count = 0
        self._path = directory / f"{import_id}.part"
        self._file: BinaryIO = self._path.open("xb")

    def write(self, data: bytes) -> None:
        """The next part. Raises `WrongFormat`, `BadImage`, `NoSpace`."""
        with room_for(DOING):
            self._file.write(data)
        self._sha256.update(data)
        if self._announced.sha512:
            self._sha512.update(data)
        self._count += len(data)
        if self._count > LARGEST_BYTES:
            raise BadImage(DOING, f"it has more than {LARGEST_BYTES / GB:.0f} GB")
        if len(self._head) < HEAD_BYTES:
            self._head += data
            if len(self._head) >= HEAD_BYTES:
                self._look()

    def _look(self) -> None:
        importable(bytes(self._head[:HEAD_BYTES]), b"", self._name, self._kind)

    def settle(self) -> None:
        """All is here: into the import's own directory. Raises `ImageMismatch`, `WrongFormat`, `BadImage`."""
        if not self._count:
            raise BadImage(DOING, "it is empty")
        self._look()
        self._announced.compare(DOING, (self._sha256.hexdigest(),), self._sha512)
        with room_for(DOING):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        self._directory.mkdir(mode=0o700)
        self._path.rename(self._directory / SOURCE)
        for directory in (self._directory, self._directory.parent):
            settle(directory)

    def discard(self) -> None:
        """Leave no part of it, unless it was settled."""
        self._file.close()
        self._path.unlink(missing_ok=True)
