# SPDX-License-Identifier: Apache-2.0
"""Chunked images on the fake web, as a file and as a store; and disks to be packed."""

from __future__ import annotations

import random
from dataclasses import replace

from agent.apply.chunked.pack import Options, Packing
from agent.host.fake import Machine, Page
from agent.model.image import ImageFormat, ImageRef
from tests.apply.disks import MIB, URL
from tests.controller.chunks import Bytes

KIB = 1024
OPTIONS = Options(threads=1, level=1, chunk_bytes=256 * KIB)
STORE = "http://images.example/store"


def sparse_disk(size_bytes: int, seed: int) -> bytes:
    """Data here and there, of any length, at any place: noise, text, lone bytes; and holes."""
    chance = random.Random(seed)
    disk = bytearray(size_bytes)
    for _ in range(chance.randrange(12)):
        length = min(chance.choice((1, 512, 4096, 70_000, 300_000)), size_bytes)
        at = chance.randrange(size_bytes - length + 1)
        piece = chance.randbytes(min(length, chance.choice((1, 64, length))))
        disk[at : at + length] = (piece * (length // len(piece) + 1))[:length]
    return bytes(disk)


def packing(disk: bytes, **changes: object) -> tuple[Packing, bytes]:
    """How it was packed, and the file."""
    made = Packing(Bytes(disk), replace(OPTIONS, **changes))  # type: ignore[arg-type]
    return made, b"".join(made.pieces())


def reference(digest: str, url: str = URL, **changes: object) -> ImageRef:
    """A chunked image."""
    return ImageRef.model_validate({"url": url, "format": ImageFormat.CHUNKED, "sha256": digest} | changes)


def serve(made: Machine, disk: bytes, **changes: object) -> ImageRef:
    """The disk, packed, on the fake web."""
    packed, file = packing(disk, **changes)
    made.web[URL] = Page(file)
    return reference(packed.digest)


def serve_store(made: Machine, disk: bytes, **changes: object) -> ImageRef:
    """The same as a store."""
    packed = Packing(Bytes(disk), replace(OPTIONS, **changes))  # type: ignore[arg-type]
    for path, content in packed.store():
        made.web[f"{STORE}/{path or 'disk.manifest'}"] = Page(content)
    return reference(packed.digest, f"{STORE}/disk.manifest")


__all__ = ["KIB", "MIB", "STORE", "packing", "reference", "serve", "serve_store", "sparse_disk"]
