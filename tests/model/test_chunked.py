# SPDX-License-Identifier: Apache-2.0
"""The chunked image's bytes: what is encoded is read again; any other bytes are a manifest or a `DecodeError`."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.model.chunked import (
    ENTRY,
    FRAME,
    GRAIN_BYTES,
    HEADER,
    MAGIC,
    MANIFEST_MAGIC,
    MOST_CHUNKS,
    SEEK_ENTRY,
    SIGNATURE_MAGIC,
    VERSION,
    Chunk,
    Manifest,
    encode,
    frame,
    grain_bytes,
    parse,
    place_of_manifest,
    seek_table,
    sizes_of,
    unframe,
    valid_chunk_bytes,
)
from agent.model.description import Description
from tests.controller.chunks import manifest_of, packed

FILE = packed()
PAYLOAD = manifest_of(FILE).payload
CHUNK_SIZES = [size for size in (GRAIN_BYTES << shift for shift in range(8)) if valid_chunk_bytes(size)]


@st.composite
def manifests(draw: st.DrawFn) -> tuple[int, int, Description, list[Chunk]]:
    """Any that a packer could make."""
    chunk_bytes = draw(st.sampled_from(CHUNK_SIZES))
    disk_bytes = draw(st.integers(1, 40 * chunk_bytes))
    count = -(-disk_bytes // chunk_bytes)
    chunks, at = [], 0
    for number in sorted(draw(st.sets(st.integers(0, count - 1), max_size=12))):
        raw = min(chunk_bytes, disk_bytes - number * chunk_bytes)
        bits = -(-raw // grain_bytes(chunk_bytes))
        length = draw(st.integers(1, raw + 64))
        at += draw(st.integers(0, 200))
        digests = draw(st.binary(min_size=32, max_size=32)), draw(st.binary(min_size=32, max_size=32))
        chunks.append(Chunk(number, at, length, draw(st.integers(1, (1 << bits) - 1)), *digests))
        at += length
    description = Description(os=draw(st.none() | st.text(max_size=20)), firmware=("uefi",))
    return chunk_bytes, disk_bytes, description, chunks


@given(manifests())
def test_what_was_encoded(made: tuple[int, int, Description, list[Chunk]]) -> None:
    """A manifest says what it was made of; data and holes are all of the disk, and lie beside each other."""
    chunk_bytes, disk_bytes, description, chunks = made
    found = parse(encode(chunk_bytes, disk_bytes, description, b"".join(ENTRY.pack(*chunk) for chunk in chunks)))

    assert (found.chunk_bytes, found.disk_bytes, found.description) == (chunk_bytes, disk_bytes, description)
    assert list(found) == chunks == [found[index] for index in range(len(found))]
    data = [(found.place(chunk) + start, end - start, True) for chunk in found for start, end in found.runs(chunk)]
    at = 0
    for offset, length, _ in sorted(data + [(*hole, False) for hole in found.holes()]):
        assert offset == at and length > 0
        at += length
    assert at == disk_bytes and sum(length for _, length, _ in data) == found.data_bytes


def tried(payload: bytes) -> Manifest | None:
    """It, or None for a `DecodeError`. Any other error is the test's."""
    try:
        found = parse(payload)
    except DecodeError:
        return None
    assert (
        found.largest_frame >= 0 and sum(length for _, length in found.holes()) + found.data_bytes == found.disk_bytes
    )
    return found


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        HEADER.pack(MAGIC, VERSION, 0, 1 << 40, 1, 0),
        HEADER.pack(MAGIC, VERSION, GRAIN_BYTES, 0, 0, 0),
        HEADER.pack(MAGIC, VERSION, GRAIN_BYTES, (1 << 64) - 1, 0xFFFFFFFF, 0xFFFFFFFF),
    ],
)
def test_headers_that_lie(payload: bytes) -> None:
    """Nothing, chunks of no size, and more than there can be."""
    assert tried(payload) is None


@given(st.lists(st.tuples(*[st.integers(0, (1 << bits) - 1) for bits in (32, 64, 32, 64)]), max_size=4))
def test_any_entries(entries: list[tuple[int, int, int, int]]) -> None:
    """Entries out of order, past the disk, or of no data are refused, whatever their numbers are."""
    packed_entries = b"".join(ENTRY.pack(*entry, bytes(32), bytes(32)) for entry in entries)
    found = tried(encode(GRAIN_BYTES * 4, GRAIN_BYTES * 13, Description(), packed_entries))

    assert found is None or [chunk.number for chunk in found] == sorted({chunk.number for chunk in found})


def test_a_signature_is_all_that_may_follow() -> None:
    """One of 64 bytes, or nothing."""
    manifest, signature = frame(MANIFEST_MAGIC, PAYLOAD), frame(SIGNATURE_MAGIC, bytes(64))

    assert unframe(memoryview(manifest)) == (PAYLOAD, None)
    assert unframe(memoryview(manifest + signature)) == (PAYLOAD, bytes(64))
    for wrong in (signature * 2, frame(SIGNATURE_MAGIC, bytes(63)), b"x", FRAME.pack(SIGNATURE_MAGIC, 64)):
        with pytest.raises(DecodeError):
            unframe(memoryview(manifest + wrong))


def test_a_newer_version_is_named() -> None:
    """It is not guessed at."""
    payload = bytearray(PAYLOAD)
    struct.pack_into("<I", payload, len(MAGIC), VERSION + 1)
    with pytest.raises(DecodeError, match=f"version {VERSION + 1}"):
        parse(bytes(payload))


def test_memory() -> None:
    """A manifest of a large disk takes no memory but its own; one that lies about its length takes none."""
    count = 20_000
    entries = b"".join(ENTRY.pack(n, n * 10, 10, 1, bytes(32), bytes(32)) for n in range(count))
    payload = encode(1 << 21, count << 21, Description(), entries)
    tracemalloc.start()
    try:
        found = parse(payload)
        assert found.frames_bytes == count * 10 and found.data_bytes == count * GRAIN_BYTES
        assert sum(1 for _ in found.holes()) == count
        for lie in (MOST_CHUNKS, 0xFFFFFFFF):
            with pytest.raises(DecodeError):
                parse(HEADER.pack(MAGIC, VERSION, 1 << 21, 1 << 41, lie, 0))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_seek_table() -> None:
    """It says how long each frame is, and what it unpacks to."""
    sizes = [(300, 1 << 21), (17, 0), (72, 0)]
    table = seek_table(b"".join(SEEK_ENTRY.pack(*size) for size in sizes))

    assert list(sizes_of(table)) == sizes
    assert place_of_manifest(table, 300 + 17 + 72 + len(table)) == (300, 17 + 72)
