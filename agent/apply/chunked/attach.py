# SPDX-License-Identifier: Apache-2.0
"""A signature that was made elsewhere, put into a chunked image that is there already: a file, or a store's manifest.

The image is written anew beside itself, and takes its own place once it is whole; its chunks stay byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.apply.chunked.locate import Found, found, read
from agent.apply.crew import Crew
from agent.apply.meter import meter_of
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.errors import ImageRefused
from agent.host.doors import Host
from agent.model.chunked import (
    MANIFEST_MAGIC,
    SEEK_ENTRY,
    SIGNATURE_MAGIC,
    frame,
    parse,
    place_of_manifest,
    seek_table,
    sizes_of,
)
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef

PIECE_BYTES = MIB
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Unsigned:
    """An image, and what of it is to be signed."""

    payload: bytes
    sha256: str


def to_be_signed(host: Host, path: str) -> Unsigned:
    """Its manifest. Raises `DecodeError` for what is no chunked image."""
    with open_source(host, reference(path), Crew().stop, meter_of(host)) as source:
        payload = found(source, doing(path)).payload
    return Unsigned(payload, parse(payload).digest)


def attach(host: Host, path: str, signature: bytes) -> None:
    """In place of the signature that it has, if it has one. Raises `DecodeError`, `HostError`."""
    with open_source(host, reference(path), Crew().stop, meter_of(host)) as source:
        host.files.save(path, pieces(source, found(source, doing(path)), signature, path))


def pieces(source: Source, thing: Found, signature: bytes, path: str) -> Iterator[bytes]:
    """The whole file."""
    last = [frame(MANIFEST_MAGIC, thing.payload), frame(SIGNATURE_MAGIC, signature)]
    if thing.is_store:
        yield from last
        return
    size = source.size_bytes
    if size is None:
        raise ImageRefused(doing(path), "its length is not known")
    begin = max(0, size - TAIL_BYTES)
    place = place_of_manifest(read(source, begin, size - begin), size)
    behind = place.offset + place.length
    sizes = [each for each in sizes_of(bytes(read(source, behind, size - behind))) if each[1]]
    sizes += [(len(each), 0) for each in last]
    for at in range(0, place.offset, PIECE_BYTES):
        yield bytes(read(source, at, min(PIECE_BYTES, place.offset - at)))
    yield from last
    yield seek_table(b"".join(SEEK_ENTRY.pack(*each) for each in sizes))


def reference(path: str) -> ImageRef:
    """A file here; what its digest is, its manifest says."""
    return ImageRef(url=f"file://{path}", format=ImageFormat.CHUNKED, sha256="0" * 64)


def doing(path: str) -> str:
    """In the words of an error."""
    return f"signing {path}"
