# SPDX-License-Identifier: Apache-2.0
"""Uploaded images: written to disk while they are hashed and measured; kept whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, assert_never
from uuid import uuid4

from agent.controller.durable import settle
from agent.controller.measure import Measure, Raw, Unpacked
from agent.controller.measure.chunked import Chunked, is_chunked
from agent.controller.measure.qcow2 import Qcow2
from agent.controller.measure.streams import PACKINGS, Members, Zstd
from agent.controller.refusal import BadImage, ImageMismatch, NoSpace, WrongFormat
from agent.model.disk import GB
from agent.model.image import ImageFormat
from agent.model.image_kind import FORMATS, HEAD_BYTES, TAIL_BYTES, kind_of, misfit

LARGEST_BYTES = 1100 * GB
"""One TiB, and what surrounds it in a file."""


def image_path(directory: Path, image_id: str) -> Path:
    """Where an uploaded image is."""
    return directory / image_id


def forget_parts(directory: Path) -> None:
    """Uploads that an earlier process was killed in."""
    for part in directory.glob("*.part"):
        part.unlink()


@contextmanager
def room_for(doing: str) -> Iterator[None]:
    """Raises `NoSpace` where the filesystem is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(doing, error.strerror or str(error)) from error
        raise


class Digest(Protocol):
    """A running digest, as hashlib has it."""

    def update(self, data: bytes, /) -> None:
        """The next bytes."""
        ...

    def hexdigest(self) -> str:
        """Of all so far."""
        ...


@dataclass(frozen=True)
class Kept:
    """An image that arrived whole."""

    format: ImageFormat
    sha256: str
    file_bytes: int
    unpacked: Unpacked


@dataclass(frozen=True)
class Announced:
    """The digests that a file is said to have. A chunked image's SHA-256 may be that of its manifest, too."""

    sha256: str | None = None
    sha512: str | None = None

    def compare(self, doing: str, sha256: tuple[str | None, ...], sha512: Digest | None) -> None:
        """Raises `ImageMismatch`."""
        if self.sha256 is not None and self.sha256 not in sha256:
            raise ImageMismatch(doing, f"its SHA-256 is {sha256[-1] or sha256[0]}, {self.sha256} was announced")
        if self.sha512 is not None and (sha512 is None or sha512.hexdigest() != self.sha512):
            raise ImageMismatch(doing, f"its SHA-512 is {sha512 and sha512.hexdigest()}, {self.sha512} was announced")


NOTHING = Announced()


def measure_of(form: ImageFormat, limit: int) -> Measure:
    """A fresh one for this format."""
    match form:
        case ImageFormat.RAW:
            return Raw(limit)
        case ImageFormat.RAW_GZ | ImageFormat.RAW_XZ | ImageFormat.RAW_BZ2:
            return Members(PACKINGS[form], limit)
        case ImageFormat.RAW_ZST:
            return Zstd(limit)
        case ImageFormat.QCOW2:
            return Qcow2(limit)
        case ImageFormat.CHUNKED:
            return Chunked(limit)
    assert_never(form)


def recognised(head: bytes, said: ImageFormat | None, name: str = "") -> ImageFormat:
    """The format of a file that begins like this. Raises `WrongFormat`."""
    doing, kind = "looking at an image", kind_of(head, name)
    if said is not None:
        other = misfit(kind, said)
        if other is not None:
            hint = None if kind not in FORMATS else f"{other[1][0].upper()}{other[1][1:]}."
            raise WrongFormat(doing, other[0], hint=hint)
        return said
    if kind is None:
        raise WrongFormat(doing, "its format is not known by its content", hint="Say it: --format raw, for a raw disk.")
    if kind not in FORMATS:
        raise WrongFormat(doing, f"it is {kind}, which is not written on a host")
    return FORMATS[kind][0]


class Upload:
    """One image on its way in: `write` its parts, then `finish` or `discard`. One thread at a time.

    `form` and `announced` are what the sender says; a form of None is as the content says.
    """

    def __init__(
        self,
        directory: Path,
        form: ImageFormat | None,
        *,
        announced: Announced = NOTHING,
        name: str = "",
        limit_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._said = form
        self._announced = announced
        self._name = name
        self._limit = limit_bytes
        self._head = bytearray()
        self._form: ImageFormat | None = None
        self._measure: Measure = Raw(limit_bytes)
        self._sha256 = hashlib.sha256()
        self._sha512 = hashlib.sha512() if announced.sha512 else None
        self._file_bytes = 0
        self._path = directory / f"{uuid4()}.part"
        self._file: BinaryIO = self._path.open("x+b")

    def write(self, data: bytes) -> None:
        """The next part. Raises `BadImage`, `WrongFormat`, `NoSpace`."""
        with room_for("keeping an image"):
            self._file.write(data)
        self._sha256.update(data)
        if self._sha512 is not None:
            self._sha512.update(data)
        self._file_bytes += len(data)
        if self._form is None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return
            data = self._begin()
        self._measure.write(data)

    def _begin(self) -> bytes:
        """Enough has come to know what it is; what has come so far."""
        head = bytes(self._head)
        del self._head[HEAD_BYTES:]
        self._form = recognised(bytes(self._head), self._said, self._name)
        self._measure = measure_of(self._form, self._limit)
        return head

    def finish(self, path: Path) -> Kept:
        """Keep it under this path if it is the image that was announced. Raises `ImageMismatch`, `BadImage`, …"""
        if self._file_bytes == 0:
            raise BadImage("keeping an image", "it is empty")
        if self._form is None:
            head = self._begin()
            self._measure.write(head)
        with room_for("keeping an image"):
            self._file.flush()
            os.fsync(self._file.fileno())
        form, unpacked = self._measured()
        whole = self._sha256.hexdigest()
        self._announced.compare("keeping an image", (whole, unpacked.sha256), self._sha512)
        if unpacked.size_bytes == 0:
            raise BadImage("keeping an image", "it is empty")
        self._file.close()
        self._path.rename(path)
        settle(path.parent)
        return Kept(form, unpacked.sha256 or whole, self._file_bytes, unpacked)

    def _measured(self) -> tuple[ImageFormat, Unpacked]:
        """Its end tells apart what begins alike: a fixed VHD from a raw disk, a chunked image from any other zstd."""
        assert self._form is not None, "it was recognised by its head"
        self._file.seek(max(0, self._file_bytes - TAIL_BYTES))
        other = misfit(kind_of(bytes(self._head), tail=self._file.read()), self._form)
        if other is not None:
            raise WrongFormat("looking at an image", other[0])
        if self._form is ImageFormat.RAW_ZST and self._said is None and is_chunked(self._file):
            return ImageFormat.CHUNKED, Chunked(self._limit).finish(self._file)
        return self._form, self._measure.finish(self._file)

    def discard(self) -> None:
        """Leave nothing of it, unless it was finished."""
        self._file.close()
        self._path.unlink(missing_ok=True)
