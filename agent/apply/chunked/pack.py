# SPDX-License-Identifier: Apache-2.0
"""Packing a disk into a chunked image: the pieces of one file, for a file or for a server; or the files of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.apply.chunked.compress import Compressor, Packed, Readable
from agent.apply.chunked.sign import signing_key
from agent.errors import ImageRefused
from agent.model.chunked import (
    ENTRY,
    LARGEST_CHUNK_BYTES,
    MANIFEST_MAGIC,
    MOST_CHUNKS,
    SEEK_ENTRY,
    SIGNATURE_MAGIC,
    chunk_path,
    encode,
    frame,
    grain_bytes,
    parse,
    raw_bytes,
    seek_table,
    valid_chunk_bytes,
)
from agent.model.description import Description, describe
from agent.model.disk import MIB

CHUNK_BYTES = 2 * MIB
"""By files of a Debian (a sample of 340 MB, level 7): chunks of 512 KiB make the image 3.6 % larger, of 1 MiB 1.5 %, of
4 MiB 1.0 % smaller; hashing and unpacking take 1.7, 1.7 and, at 2 MiB, 1.5 seconds of a processor a GB. Of 4 MiB, two
hands have room in memory instead of five (`agent.apply.chunked.hands`), and a byte that differs costs twice as much.
"""
LEVEL = 7
"""By the same files: level 3 makes the image 5 to 6 % larger in about half the time, level 5 3 % larger. An image
is packed once and fetched by every server.
"""
MANY_CHUNKS = 1 << 17
"""A manifest of no more than that takes a dozen MB: chunks of a disk that has more are larger."""
MOST_AT_ONCE = 256
"""So many empty chunks' frames are one piece."""
DOING = "packing the image"


@dataclass(frozen=True)
class Options:
    """How an image is packed. Without a description, what the first MiB tells."""

    threads: int = 2
    level: int = LEVEL
    chunk_bytes: int = CHUNK_BYTES
    description: Description | None = None
    signing_pem: bytes | None = None


class Packing:
    """One image, once: `pieces` or `store`. `digest` is the image's, when the last piece came; counts as it goes."""

    def __init__(self, disk: Readable, options: Options) -> None:
        """Raises `ImageRefused` for what is no disk, `ConfigError` for a wrong key."""
        if not disk.size_bytes:
            raise ImageRefused(DOING, "there are no bytes", hint="Give a disk's image; a stream goes to a file first.")
        self.disk_bytes = disk.size_bytes
        self.chunk_bytes = suitable(options.chunk_bytes, self.disk_bytes)
        self.digest = ""
        self.done_bytes = self.data_bytes = self.packed_bytes = self.chunks = 0
        self._disk = disk
        self._description = options.description
        self._key = signing_key(options.signing_pem) if options.signing_pem else None
        self._compressor = Compressor(disk, self.disk_bytes, self.chunk_bytes, options.level, options.threads)
        self._empty: dict[int, bytes] = {}
        self._entries, self._sizes = bytearray(), bytearray()

    def pieces(self) -> Iterator[bytes]:
        """The whole file. Raises what reading the disk raises."""
        for _, piece in self._frames():
            yield piece
        last = self._manifest()
        self._sizes += b"".join(SEEK_ENTRY.pack(len(each), 0) for each in last)
        last.append(seek_table(bytes(self._sizes)))
        self.packed_bytes += sum(len(each) for each in last)
        yield from last

    def store(self) -> Iterator[tuple[str | None, bytes]]:
        """(path beside the manifest, content) of each chunk's file; last of all, without a path, the manifest's."""
        for chunk, piece in self._frames():
            if chunk is not None:
                yield chunk_path(chunk.frame_sha256), piece
        yield None, b"".join(self._manifest())

    def _frames(self) -> Iterator[tuple[Packed | None, bytes]]:
        """The frames, in order: of a chunk with data, or of several without."""
        number, count = 0, -(-self.disk_bytes // self.chunk_bytes)
        for chunk in self._compressor.chunks():
            yield from self._empty_frames(number, chunk.number)
            yield chunk, self._entered(chunk)
            number = chunk.number + 1
        yield from self._empty_frames(number, count)

    def _entered(self, chunk: Packed) -> bytes:
        raw, size = raw_bytes(chunk.number, self.chunk_bytes, self.disk_bytes), len(chunk.frame)
        self._entries += ENTRY.pack(
            chunk.number, self.packed_bytes, size, chunk.grains, chunk.frame_sha256, chunk.raw_sha256
        )
        self._sizes += SEEK_ENTRY.pack(size, raw)
        self.chunks += 1
        self.data_bytes += min(chunk.grains.bit_count() * grain_bytes(self.chunk_bytes), raw)
        self.packed_bytes += size
        self.done_bytes = chunk.number * self.chunk_bytes + raw
        return chunk.frame

    def _empty_frames(self, first: int, end: int) -> Iterator[tuple[None, bytes]]:
        for start in range(first, end, MOST_AT_ONCE):
            piece = b"".join(self._empty_frame(number) for number in range(start, min(start + MOST_AT_ONCE, end)))
            self.packed_bytes += len(piece)
            self.done_bytes = min(end * self.chunk_bytes, self.disk_bytes)
            yield None, piece

    def _empty_frame(self, number: int) -> bytes:
        raw = raw_bytes(number, self.chunk_bytes, self.disk_bytes)
        if raw not in self._empty:
            self._empty[raw] = self._compressor.empty(raw)
        self._sizes += SEEK_ENTRY.pack(len(self._empty[raw]), raw)
        return self._empty[raw]

    def _manifest(self) -> list[bytes]:
        """Its frame, and that of its signature, if it is signed."""
        description = self._description or describe(first_bytes(self._disk, self.disk_bytes), self.disk_bytes)
        payload = encode(self.chunk_bytes, self.disk_bytes, description, bytes(self._entries))
        self.digest = parse(payload).digest
        signature = [frame(SIGNATURE_MAGIC, self._key.sign(payload))] if self._key else []
        return [frame(MANIFEST_MAGIC, payload), *signature]


def suitable(chunk_bytes: int, disk_bytes: int) -> int:
    """That size of chunks, or a larger one for a disk that would have too many."""
    if not valid_chunk_bytes(chunk_bytes):
        raise ImageRefused(DOING, f"chunks of {chunk_bytes} bytes cannot be", hint="Choose 1, 2, 4 or 8 MiB.")
    while disk_bytes > chunk_bytes * MANY_CHUNKS and valid_chunk_bytes(2 * chunk_bytes):
        chunk_bytes *= 2
    if disk_bytes > chunk_bytes * MOST_CHUNKS:
        raise ImageRefused(DOING, f"a disk of {disk_bytes} bytes is larger than {LARGEST_CHUNK_BYTES * MOST_CHUNKS}")
    return chunk_bytes


def first_bytes(disk: Readable, disk_bytes: int) -> bytes:
    """The first MiB."""
    head = bytearray(min(MIB, disk_bytes))
    for offset, length in disk.data_extents():
        if offset >= len(head):
            break
        disk.read_into(offset, memoryview(head)[offset : offset + length])
    return bytes(head)
