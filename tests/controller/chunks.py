# SPDX-License-Identifier: Apache-2.0
"""Chunked images to be uploaded: packed by the agent's own packer, from bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.apply.chunked.pack import Options, Packing
from agent.model.chunked import Manifest, parse, place_of_manifest, unframe
from agent.model.description import Description

CHUNK_BYTES = 256 * 1024
DISK = bytes(CHUNK_BYTES) + bytes(range(256)) * 512 + bytes(3 * CHUNK_BYTES) + b"end" * 1000 + bytes(1096)
"""A chunk without data, one that is half empty, two without, and a last one that is short."""


@dataclass(frozen=True)
class Bytes:
    """A disk in memory."""

    data: bytes

    @property
    def size_bytes(self) -> int | None:
        """Its length."""
        return len(self.data)

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """All of it."""
        yield 0, len(self.data)

    def read_into(self, offset_bytes: int, view: memoryview, /) -> object:
        """Fill the view."""
        view[:] = self.data[offset_bytes : offset_bytes + len(view)]
        return len(view)


def packed(disk: bytes = DISK, description: Description | None = None) -> bytes:
    """A chunked image of it."""
    options = Options(threads=1, level=1, chunk_bytes=CHUNK_BYTES, description=description)
    return b"".join(Packing(Bytes(disk), options).pieces())


def manifest_of(image: bytes) -> Manifest:
    """As it stands in the file."""
    place = place_of_manifest(image[-64:], len(image))
    payload, _ = unframe(memoryview(image)[place.offset : place.offset + place.length])
    return parse(payload)
