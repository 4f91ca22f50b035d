# SPDX-License-Identifier: Apache-2.0
"""Uploaded images: written to disk while they are hashed and measured; kept whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

import zstandard

from agent.controller.refusal import BadImage, ImageMismatch
from agent.model.disk import GB
from agent.model.image import ImageFormat

LARGEST_BYTES = 1024 * GB
MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""What `zstd --long` (27 bits) needs; more is refused, since the node would have to hold it too."""

ONE_BYTE_FRAME = zstandard.ZstdCompressor().compress(b"\0")
"""Fed to the unpacker at the end: it comes out as one byte only if the frame before it was complete."""


def image_path(directory: Path, image_id: str) -> Path:
    """Where an uploaded image is."""
    return directory / image_id


def forget_parts(directory: Path) -> None:
    """Uploads that an earlier process was killed in."""
    for part in directory.glob("*.part"):
        part.unlink()


@dataclass(frozen=True)
class Measured:
    """An image that arrived whole."""

    sha256: str
    file_bytes: int
    size_bytes: int


class _Counter:
    """A sink that counts; `limit` bounds what a small file may unpack to."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit

    def write(self, data: bytes) -> int:
        self.count += len(data)
        if self.count > self._limit:
            raise BadImage("measuring an image", f"it unpacks to more than {self._limit / GB:.1f} GB")
        return len(data)


class Upload:
    """One image on its way in: `write` its parts, then `finish` or `discard`. One thread at a time."""

    def __init__(self, directory: Path, form: ImageFormat, limit_bytes: int = LARGEST_BYTES) -> None:
        self._path = directory / f"{uuid4()}.part"
        self._file: BinaryIO = self._path.open("xb")
        self._sha256 = hashlib.sha256()
        self._file_bytes = 0
        self._unpacked = _Counter(limit_bytes)
        self._unpack: Callable[[bytes], object] = self._unpacked.write
        self._packed = form is ImageFormat.RAW_ZST
        if self._packed:
            unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
            self._unpack = unpacker.stream_writer(cast("BinaryIO", self._unpacked)).write

    def write(self, data: bytes) -> None:
        """The next part. Raises `BadImage`."""
        self._file.write(data)
        self._sha256.update(data)
        self._file_bytes += len(data)
        self._measure(data)

    def finish(self, path: Path, sha256: str | None) -> Measured:
        """Keep it under this path if it is the image that was announced. Raises `ImageMismatch`, `BadImage`."""
        actual = self._sha256.hexdigest()
        if sha256 is not None and actual != sha256:
            raise ImageMismatch("keeping an image", f"its SHA-256 is {actual}, {sha256} was announced")
        size_bytes = self._unpacked.count
        if size_bytes == 0:
            raise BadImage("keeping an image", "it is empty")
        if self._packed:
            self._measure(ONE_BYTE_FRAME)
            if self._unpacked.count != size_bytes + 1:
                raise BadImage("keeping an image", "it ends in the middle of a zstd frame")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(path)
        return Measured(sha256=actual, file_bytes=self._file_bytes, size_bytes=size_bytes)

    def _measure(self, data: bytes) -> None:
        try:
            self._unpack(data)
        except zstandard.ZstdError as error:
            raise BadImage("unpacking an image", f"it is not whole, valid zstd ({error})") from error

    def discard(self) -> None:
        """Leave nothing of it, unless it was finished."""
        self._file.close()
        self._path.unlink(missing_ok=True)
