# SPDX-License-Identifier: Apache-2.0
"""Measure of a chunked image (`agent.model.chunked`): read once more when it is here, and checked whole.

Every frame must be the one that the manifest names, unpack to what it names, and stand where manifest and seek table
say; every chunk that is not listed must be zero. What is kept here deploys, or fails on its way, never by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard

from agent.controller.measure import Unpacked, firmware_of, sectors_of
from agent.controller.refusal import BadImage
from agent.errors import DecodeError
from agent.model.chunked import (
    TAIL_BYTES,
    Chunk,
    Manifest,
    frame_bound,
    parse,
    place_of_manifest,
    raw_bytes,
    sizes_of,
    unframe,
)
from agent.model.disk import GB

DOING = "checking a chunked image"


def nobody(_done_bytes: int) -> None:
    """Is told how far it is."""


class Chunked:
    """Nothing can be said before the end: the manifest is there. `tell` hears how much of the file is checked."""

    def __init__(self, limit: int, tell: Callable[[int], None] = nobody) -> None:
        self._limit = limit
        self._tell = tell

    def write(self, data: bytes) -> None:
        """It is in the file, and read from there."""

    def finish(self, file: BinaryIO) -> Unpacked:
        """Raises `BadImage`."""
        try:
            manifest, table = read_manifest(file)
            if manifest.disk_bytes > self._limit:
                raise BadImage(DOING, f"it unpacks to more than {self._limit / GB:.1f} GB")
            check_frames(file, manifest, table, self._tell)
        except DecodeError as error:
            raise BadImage(DOING, str(error)) from error
        about = manifest.description
        return Unpacked(
            manifest.disk_bytes,
            sha256=manifest.digest,
            min_disk_gb=about.min_disk_gb if about.min_disk_gb in range(1, 1025) else None,
            firmware=firmware_of(about.firmware),
            sector_bytes=sectors_of(about.sector_bytes),
        )


def is_chunked(file: BinaryIO) -> bool:
    """Whether it ends as one."""
    try:
        place_of_manifest(_tail(file), file.seek(0, 2))
    except DecodeError:
        return False
    return True


def read_manifest(file: BinaryIO) -> tuple[Manifest, bytes]:
    """The manifest, and the seek table, which has a frame for every chunk. Raises `DecodeError`, `BadImage`."""
    file_bytes = file.seek(0, 2)
    place = place_of_manifest(_tail(file), file_bytes)
    file.seek(place.offset)
    payload, _signature = unframe(memoryview(file.read(place.length)))
    manifest = parse(payload)
    table = file.read()
    chunks = sum(1 for _ in frames_of(table))
    if sum(length for length, _ in frames_of(table)) != place.offset:
        raise BadImage(DOING, "its seek table does not fit the place of its manifest")
    if chunks != -(-manifest.disk_bytes // manifest.chunk_bytes):
        raise BadImage(DOING, f"its seek table has {chunks} chunks, which is not the whole disk")
    return manifest, table


def frames_of(table: bytes) -> Iterator[tuple[int, int]]:
    """(length, unpacked length) of every chunk's frame, by the seek table. Raises `DecodeError`."""
    return ((length, raw) for length, raw in sizes_of(table) if raw)


def check_frames(file: BinaryIO, manifest: Manifest, table: bytes, tell: Callable[[int], None]) -> None:
    """All of them, in the order of the file. Raises `BadImage`."""
    listed, zeroes, known_zero, at = iter(manifest), bytes(manifest.chunk_bytes), b"", 0
    chunk = next(listed, None)
    file.seek(0)
    for number, (length, raw) in enumerate(frames_of(table)):
        wanted = raw_bytes(number, manifest.chunk_bytes, manifest.disk_bytes)
        if raw != wanted or length > frame_bound(wanted):
            raise BadImage(DOING, f"chunk {number} has {length} bytes for {raw}, not for {wanted}")
        frame = file.read(length)
        if chunk is not None and chunk.number == number:
            if (chunk.offset, chunk.length) != (at, length):
                raise BadImage(DOING, f"chunk {number} is not where its manifest says")
            _check_listed(manifest, chunk, frame, zeroes)
            chunk = next(listed, None)
        elif frame != known_zero:
            if _unpacked(number, frame, raw) != zeroes[:raw]:
                raise BadImage(DOING, f"chunk {number} holds data, and its manifest does not list it")
            known_zero = frame if raw == manifest.chunk_bytes else b""
        at += length
        tell(at)


def _check_listed(manifest: Manifest, chunk: Chunk, frame: bytes, zeroes: bytes) -> None:
    if hashlib.sha256(frame).digest() != chunk.frame_sha256:
        raise BadImage(DOING, f"chunk {chunk.number} is not the one that its manifest names: the file is damaged")
    data = memoryview(_unpacked(chunk.number, frame, manifest.raw_bytes(chunk)))
    if hashlib.sha256(data).digest() != chunk.raw_sha256:
        raise BadImage(DOING, f"chunk {chunk.number} unpacks to something else than its manifest names")
    at = 0
    for start, end in (*manifest.runs(chunk), (len(data), len(data))):
        if data[at:start] != memoryview(zeroes)[: start - at]:
            raise BadImage(DOING, f"the map of chunk {chunk.number} leaves out data")
        at = end


def _unpacked(number: int, frame: bytes, raw: int) -> bytes:
    """What is promised is looked at first: it is what is allocated."""
    try:
        if zstandard.get_frame_parameters(frame).content_size != raw:
            raise BadImage(DOING, f"chunk {number} does not unpack to {raw} bytes")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadImage(DOING, f"chunk {number} is no valid zstd ({error})") from error


def _tail(file: BinaryIO) -> bytes:
    file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
    return file.read()
