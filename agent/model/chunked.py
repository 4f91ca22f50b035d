# SPDX-License-Identifier: Apache-2.0
"""The chunked image, bytes ↔ values. Pure. One ordinary zstd file that can be written to a disk by many hands at once:

    [frame of chunk 0][frame of chunk 1] … [manifest frame][signature frame, optional][seek table frame]

The disk is cut into chunks of one size; each is a zstd frame of its own, in order, so `zstd -d` restores the disk, and
the seek table (facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md) gives every reader of that
format random access. The manifest, in a skippable frame (RFC 8878, section 3.1.2), lists the chunks that hold data,
each with its place in the file, the digest of its frame and of what it unpacks to, and a map of its grains: what is not
listed, or not in the map, is zero. The SHA-256 of the manifest is the image's digest: it vouches for every byte.

The same manifest (and signature) alone in a file is a *store*: its chunks lie beside it, each under its own digest.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from agent.errors import DecodeError
from agent.model.description import Description
from agent.model.frozen import decode
from agent.model.image_signature import LARGEST_BYTES, is_form

MANIFEST_MAGIC, SIGNATURE_MAGIC, SEEK_TABLE_MAGIC = 0x184D2A5B, 0x184D2A5C, 0x184D2A5E
SEEKABLE_MAGIC = 0x8F92EAB1
FRAME = struct.Struct("<II")
"""Of a skippable frame: magic, length of what follows."""
SEEK_ENTRY = struct.Struct("<II")
SEEK_FOOTER = struct.Struct("<IBI")
HAS_CHECKSUMS, RESERVED_BITS = 0x80, 0x7C

HEADER = struct.Struct("<8sIIQII")
ENTRY = struct.Struct("<IQIQ32s32s")
MAGIC, VERSION = b"bms-img\0", 1

GRAIN_BYTES = 64 * 1024
MOST_GRAINS = 64
LARGEST_CHUNK_BYTES = 8 * 1024 * 1024
MOST_CHUNKS = 1 << 20
LARGEST_DESCRIPTION_BYTES = 64 * 1024
LARGEST_MANIFEST_BYTES = HEADER.size + LARGEST_DESCRIPTION_BYTES + MOST_CHUNKS * ENTRY.size
FRAMES_BEHIND = 2
"""Manifest and signature stand behind the chunks' frames, and in the seek table."""
MANIFEST_START = FRAME.pack(MANIFEST_MAGIC, 0)[:4]
"""What a store's file begins with."""

READING = "reading the chunk manifest"


class Chunk(NamedTuple):
    """One chunk that holds data. Bit i of `grains`: the i-th grain does."""

    number: int
    offset: int
    length: int
    grains: int
    frame_sha256: bytes
    raw_sha256: bytes

    @property
    def end(self) -> int:
        """Where in the file its frame ends."""
        return self.offset + self.length


@dataclass(frozen=True)
class Manifest:
    """A valid manifest. Entries stay packed: a large disk has a hundred thousand."""

    payload: bytes
    chunk_bytes: int
    disk_bytes: int
    count: int
    description: Description
    entries_at: int

    @cached_property
    def digest(self) -> str:
        """The image's SHA-256."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def grain_bytes(self) -> int:
        """The unit of a chunk's map."""
        return grain_bytes(self.chunk_bytes)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Chunk:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return Chunk._make(ENTRY.unpack_from(self.payload, self.entries_at + index * ENTRY.size))

    def __iter__(self) -> Iterator[Chunk]:
        return map(Chunk._make, ENTRY.iter_unpack(memoryview(self.payload)[self.entries_at :]))

    @cached_property
    def frames_bytes(self) -> int:
        """All that has to be fetched."""
        return sum(chunk.length for chunk in self)

    @cached_property
    def data_bytes(self) -> int:
        """All that has to be written."""
        return sum(end - start for chunk in self for start, end in self.runs(chunk))

    @property
    def listed_bytes(self) -> int:
        """What the listed chunks unpack to."""
        return sum(self.raw_bytes(chunk) for chunk in self)

    @cached_property
    def largest_frame(self) -> int:
        """The room that any frame fits in."""
        return max((chunk.length for chunk in self), default=0)

    @cached_property
    def end_of_frames(self) -> int:
        """Where the last listed frame ends in the file."""
        return self[self.count - 1].end if self.count else 0

    def raw_bytes(self, chunk: Chunk) -> int:
        """What a chunk unpacks to: the last may be shorter."""
        return raw_bytes(chunk.number, self.chunk_bytes, self.disk_bytes)

    def place(self, chunk: Chunk) -> int:
        """Where a chunk begins on the disk."""
        return chunk.number * self.chunk_bytes

    def runs(self, chunk: Chunk) -> list[tuple[int, int]]:
        """(start, end) within the chunk of what holds data, adjoining grains as one."""
        unit, size, found, bits, at = self.grain_bytes, self.raw_bytes(chunk), [], chunk.grains, 0
        while bits:
            zeroes = (bits & -bits).bit_length() - 1
            bits >>= zeroes
            ones = (~bits & (bits + 1)).bit_length() - 1
            bits >>= ones
            at += zeroes + ones
            found.append(((at - ones) * unit, min(at * unit, size)))
        return found

    def holes(self) -> Iterator[tuple[int, int]]:
        """(offset, length) on the disk of all that is zero, adjoining ranges as one."""
        at = 0
        for chunk in self:
            place = self.place(chunk)
            for start, end in self.runs(chunk):
                if at < place + start:
                    yield at, place + start - at
                at = place + end
        if at < self.disk_bytes:
            yield at, self.disk_bytes - at

    def empty(self) -> Iterator[tuple[int, int]]:
        """(offset, length) on the disk of the chunks that are not listed, adjoining ones as one."""
        at = 0
        for chunk in self:
            place = self.place(chunk)
            if at < place:
                yield at, place - at
            at = place + self.raw_bytes(chunk)
        if at < self.disk_bytes:
            yield at, self.disk_bytes - at


class Place(NamedTuple):
    """Where in the file the manifest's frame is, and the signature's behind it."""

    offset: int
    length: int


def grain_bytes(chunk_bytes: int) -> int:
    """A 64th of a chunk, or 64 KiB if that is more."""
    return max(GRAIN_BYTES, chunk_bytes // MOST_GRAINS)


def raw_bytes(number: int, chunk_bytes: int, disk_bytes: int) -> int:
    """What the chunk with that number unpacks to."""
    return min(chunk_bytes, disk_bytes - number * chunk_bytes)


def frame_bound(size_bytes: int) -> int:
    """The longest frame of so many bytes (ZSTD_COMPRESSBOUND in zstd.h)."""
    return size_bytes + (size_bytes >> 8) + 64


def valid_chunk_bytes(size_bytes: int) -> bool:
    """Whether a disk can be cut into chunks of that size."""
    whole_grains = size_bytes % GRAIN_BYTES == 0 and size_bytes % grain_bytes(size_bytes or 1) == 0
    return whole_grains and GRAIN_BYTES <= size_bytes <= LARGEST_CHUNK_BYTES


def encode(chunk_bytes: int, disk_bytes: int, description: Description, entries: bytes) -> bytes:
    """The manifest's payload; `entries` are packed chunks (`ENTRY`), ascending."""
    text = description.model_dump_json(exclude_none=True).encode()
    return HEADER.pack(MAGIC, VERSION, chunk_bytes, disk_bytes, len(entries) // ENTRY.size, len(text)) + text + entries


def parse(payload: bytes) -> Manifest:
    """A manifest, valid in itself. Raises `DecodeError`, whatever the bytes are."""
    if len(payload) < HEADER.size:
        raise DecodeError(READING, "it is too short")
    magic, version, chunk_bytes, disk_bytes, count, text_bytes = HEADER.unpack_from(payload)
    if magic != MAGIC or version != VERSION:
        told = f"version {version}" if magic == MAGIC else "another beginning"
        raise DecodeError(READING, f"it has {told}; this agent knows version {VERSION}")
    chunks = -(-disk_bytes // chunk_bytes) if valid_chunk_bytes(chunk_bytes) else 0
    if not 0 < chunks <= MOST_CHUNKS or count > chunks or text_bytes > LARGEST_DESCRIPTION_BYTES:
        raise DecodeError(READING, f"{count} chunks of {chunk_bytes} bytes in a disk of {disk_bytes} cannot be")
    at = HEADER.size + text_bytes
    if len(payload) != at + count * ENTRY.size:
        raise DecodeError(READING, f"it is {len(payload)} bytes long, not {at + count * ENTRY.size}")
    description = decode(Description, payload[HEADER.size : at], "reading the image's description")
    found = Manifest(payload, chunk_bytes, disk_bytes, count, description, at)
    must_be_in_order(found)
    return found


def must_be_in_order(manifest: Manifest) -> None:
    """Chunks ascend on the disk and in the file, fit where they are, and none is without data."""
    number_before, end_before = -1, 0
    longest, unit = frame_bound(manifest.chunk_bytes), manifest.grain_bytes
    for chunk in manifest:
        raw = manifest.raw_bytes(chunk)
        ascends = chunk.number > number_before and raw > 0 and chunk.offset >= end_before
        if not ascends or not 0 < chunk.length <= longest or chunk.end >= 1 << 63:
            raise DecodeError(READING, f"chunk {chunk.number} is out of order or out of bounds")
        if not 0 < chunk.grains < 1 << -(-raw // unit):
            raise DecodeError(READING, f"the map of chunk {chunk.number} is not that of {raw} bytes")
        number_before, end_before = chunk.number, chunk.end


def frame(magic: int, inside: bytes) -> bytes:
    """A skippable frame."""
    return FRAME.pack(magic, len(inside)) + inside


def unframe(data: memoryview) -> tuple[bytes, bytes | None]:
    """(manifest's payload, signature) of what stands at a `Place`, or of a store's file. Raises `DecodeError`."""
    payload, rest = content(data, MANIFEST_MAGIC)
    if not rest:
        return bytes(payload), None
    signature, rest = content(rest, SIGNATURE_MAGIC)
    if rest or not is_form(bytes(signature)):
        raise DecodeError(READING, "what follows it is not one signature")
    return bytes(payload), bytes(signature)


def content(data: memoryview, magic: int) -> tuple[memoryview, memoryview]:
    """(what is in the skippable frame, what follows it)."""
    found, length = FRAME.unpack_from(data) if len(data) >= FRAME.size else (0, 0)
    end = FRAME.size + length
    if found != magic or len(data) < end:
        raise DecodeError(READING, "there is no such frame where it should be")
    return data[FRAME.size : end], data[end:]


def seek_table(sizes: bytes) -> bytes:
    """The last frame; `sizes` are packed (`SEEK_ENTRY`): length of each frame before it, and what it unpacks to."""
    return frame(SEEK_TABLE_MAGIC, sizes + SEEK_FOOTER.pack(len(sizes) // SEEK_ENTRY.size, 0, SEEKABLE_MAGIC))


def place_of_manifest(tail: bytes | memoryview, file_bytes: int) -> Place:
    """Where the manifest is, by the file's last bytes (`TAIL_BYTES` are enough). Raises `DecodeError`."""
    doing = "reading the image's seek table"
    sizes, table_bytes = last_sizes(tail, file_bytes, doing)
    skipped = [compressed for compressed, raw in sizes if raw == 0]
    if not skipped or sizes[-1][1]:
        raise DecodeError(doing, "no manifest stands before it: this is not a chunked image")
    length = sum(skipped)
    offset = file_bytes - table_bytes - length
    if offset < 0 or not FRAME.size < length <= LARGEST_MANIFEST_BYTES + 2 * FRAME.size + LARGEST_BYTES:
        raise DecodeError(doing, f"a manifest of {length} bytes at {offset} cannot be")
    return Place(offset, length)


TAIL_BYTES = SEEK_FOOTER.size + 2 * (SEEK_ENTRY.size + 4)


def last_sizes(tail: bytes | memoryview, file_bytes: int, doing: str) -> tuple[list[tuple[int, int]], int]:
    """(the last two entries, whole length of the seek table's frame)."""
    if len(tail) < SEEK_FOOTER.size:
        raise DecodeError(doing, "the file is too short")
    count, descriptor, magic = SEEK_FOOTER.unpack_from(tail, len(tail) - SEEK_FOOTER.size)
    if magic != SEEKABLE_MAGIC or descriptor & RESERVED_BITS:
        raise DecodeError(doing, "the file does not end in one: this is not a chunked image, or it was cut")
    if count > MOST_CHUNKS + FRAMES_BEHIND:
        raise DecodeError(doing, f"it has {count} frames, more than any chunked image")
    each = SEEK_ENTRY.size + (4 if descriptor & HAS_CHECKSUMS else 0)
    table_bytes = FRAME.size + count * each + SEEK_FOOTER.size
    at = len(tail) - SEEK_FOOTER.size - min(count, 2) * each
    if table_bytes > file_bytes or at < 0:
        raise DecodeError(doing, f"{count} frames are more than the file has room for")
    return [SEEK_ENTRY.unpack_from(tail, at + number * each) for number in range(min(count, 2))], table_bytes


def sizes_of(table: bytes) -> Iterable[tuple[int, int]]:
    """(length, what it unpacks to) of every frame, by a whole seek table. Raises `DecodeError`."""
    doing = "reading the image's seek table"
    _, table_bytes = last_sizes(table, len(table), doing)
    if table_bytes != len(table) or FRAME.unpack_from(table) != (SEEK_TABLE_MAGIC, len(table) - FRAME.size):
        raise DecodeError(doing, "its frame has another length")
    if table[-5] & HAS_CHECKSUMS:
        raise DecodeError(doing, "it has checksums, which no packer of chunked images writes")
    return SEEK_ENTRY.iter_unpack(memoryview(table)[FRAME.size : -SEEK_FOOTER.size])


def chunk_path(frame_sha256: bytes) -> str:
    """Where a store keeps a frame, relative to its manifest."""
    name = frame_sha256.hex()
    return f"chunks/{name[:2]}/{name}.zst"
