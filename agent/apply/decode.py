# SPDX-License-Identifier: Apache-2.0
"""Stage 3: the disk's bytes out of the file's: raw, or zstd of any number of frames. Memory is bounded by the window.

zstd is walked block by block (RFC 8878, section 3.1.1), for two reasons. A block unpacks to 128 KiB at most, so a small
file cannot fill the memory. And a file that ends within a frame is known to be cut: the library's stream reader takes
that for the end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NoReturn, assert_never

import zstandard

from agent.errors import AgentError, ImageError, ImageTruncated
from agent.model.image import ImageFormat

MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""A frame may ask for terabytes (section 3.1.1.1.2); this is what `zstd -d` grants without being asked."""
PIECE_BYTES = 1024 * 1024
BLOCKS = 16
"""So many blocks are unpacked in one call."""
REPEATED = 1
"""The type of a block that is one byte, many times."""


class ChunkReader(io.RawIOBase):
    """An iterator of chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Some bytes; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Decoder:
    """The disk's bytes, in order. Its end is the file's end: the file's digest was verified before."""

    def __init__(self, chunks: Iterator[bytes], image_format: ImageFormat, doing: str) -> None:
        self._file = io.BufferedReader(ChunkReader(chunks), PIECE_BYTES)
        self._doing = doing
        self._pieces = self._opened(image_format)
        self._rest = memoryview(b"")
        self.done_bytes = 0

    def _opened(self, image_format: ImageFormat) -> Iterator[bytes]:
        match image_format:
            case ImageFormat.RAW:
                return iter(lambda: self._file.read1(PIECE_BYTES), b"")
            case ImageFormat.RAW_ZST:
                return self._frames()
        assert_never(image_format)

    def fill(self, view: memoryview) -> int:
        """Fill the whole view, or as much as there is until the end. Raises `ImageError` for what is no whole zstd."""
        count = 0
        while count < len(view) and self._has_more():
            piece = self._rest[: len(view) - count]
            view[count : count + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            count += len(piece)
        self.done_bytes += count
        return count

    def _has_more(self) -> bool:
        while not self._rest:
            try:
                piece = next(self._pieces, None)
            except zstandard.ZstdError as error:
                self._fail(ImageError(self._doing, "it is not intact zstd"), error)
            if piece is None:
                return False
            self._rest = memoryview(piece)
        return True

    def _fail(self, failure: AgentError, cause: Exception | None = None) -> NoReturn:
        """What cannot be unpacked may be damaged on its way: the digest, which knows, has the first word."""
        while self._file.read(PIECE_BYTES):
            pass
        raise failure from cause

    def _frames(self) -> Iterator[bytes]:
        while magic := self._file.read(4):
            if magic[1:] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50:  # skippable frames (section 3.1.2)
                self._skip(int.from_bytes(self._take(4), "little"))
            else:
                yield from self._frame(magic)

    def _frame(self, magic: bytes) -> Iterator[bytes]:
        header = magic + self._take(1)
        header += self._take(zstandard.frame_header_size(header) - len(header))
        told = zstandard.get_frame_parameters(header)
        if told.window_size > MAX_WINDOW_BYTES:
            self._fail(ImageError(self._doing, f"its zstd window of {told.window_size} bytes is too large"))
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
        unpacker.decompress(header)
        is_over = False
        while not is_over:
            is_over, blocks = self._blocks()
            yield unpacker.decompress(blocks)
        if told.has_checksum:
            yield unpacker.decompress(self._take(4))

    def _blocks(self) -> tuple[bool, bytes]:
        """The next few blocks, and whether the frame's last is among them (section 3.1.1.2)."""
        blocks = bytearray()
        for _ in range(BLOCKS):
            header = self._take(3)
            kind, size = header[0] >> 1 & 3, int.from_bytes(header, "little") >> 3
            blocks += header + self._take(1 if kind == REPEATED else size)
            if header[0] & 1:
                return True, bytes(blocks)
        return False, bytes(blocks)

    def _skip(self, count: int) -> None:
        for at in range(0, count, PIECE_BYTES):
            self._take(min(PIECE_BYTES, count - at))

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            self._fail(ImageTruncated(self._doing, "it ends in the middle of a zstd frame"))
        return data
