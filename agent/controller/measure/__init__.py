# SPDX-License-Identifier: Apache-2.0
"""Measuring an image while it arrives: how large is the disk it unpacks to, and is the file whole?

In: the file's bytes in parts of any size, then the file itself. Out: `Unpacked`, or `BadImage`. Memory is bounded,
whatever the bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from agent.controller.records.image import ImageFirmware, SectorBytes
from agent.controller.refusal import BadImage, WrongFormat
from agent.model import gpt
from agent.model.disk import GB
from agent.model.image import ImageFormat
from agent.model.image_kind import HEAD_BYTES, kind_of, misfit


@dataclass(frozen=True)
class Unpacked:
    """What was found out. `sha256` stands in for that of the file where the format has a digest of its own."""

    size_bytes: int
    sha256: str | None = None
    min_disk_gb: int | None = None
    firmware: ImageFirmware | None = None
    sector_bytes: SectorBytes | None = None


class Measure(Protocol):
    """Of one file."""

    def write(self, data: bytes) -> None:
        """The file's next bytes. Raises `BadImage`."""
        ...

    def finish(self, file: BinaryIO) -> Unpacked:
        """All has been written, and is in this file. Raises `BadImage`."""
        ...


class Counter:
    """A sink that counts, and keeps the disk's head; `limit` bounds what a small file may unpack to."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit
        self._head = bytearray()

    def write(self, data: bytes) -> int:
        """Count these. Raises `BadImage`."""
        self.count += len(data)
        if self.count > self._limit:
            raise BadImage("measuring an image", f"it unpacks to more than {self._limit / GB:.1f} GB")
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        return len(data)

    def unpacked(self) -> Unpacked:
        """What was counted is a disk. Raises `WrongFormat` if it is another image, packed once more."""
        other = misfit(kind_of(bytes(self._head)), ImageFormat.RAW)
        if other is not None:
            raise WrongFormat("measuring an image", f"what it unpacks to is no disk: {other[0]}")
        return Unpacked(self.count, sector_bytes=sectors_of(gpt.sector_bytes_of(bytes(self._head))))


def sectors_of(count: int | None) -> SectorBytes | None:
    """Those that disks have; None for others."""
    match count:
        case 512:
            return 512
        case 4096:
            return 4096
        case _:
            return None


def firmware_of(modes: tuple[str, ...]) -> ImageFirmware | None:
    """None where nothing is said."""
    match "uefi" in modes, "bios" in modes:
        case True, True:
            return "both"
        case True, False:
            return "uefi"
        case False, True:
            return "bios"
        case _:
            return None


class Raw:
    """The file is the disk."""

    def __init__(self, limit: int) -> None:
        self._counter = Counter(limit)

    def write(self, data: bytes) -> None:
        """The file's next bytes. Raises `BadImage`."""
        self._counter.write(data)

    def finish(self, _file: BinaryIO) -> Unpacked:
        """Its length."""
        return self._counter.unpacked()
