# SPDX-License-Identifier: Apache-2.0
"""Stage 3: the disk's bytes out of the file's: raw, or zstd of any number of frames. Memory is bounded by the window.

A decoder may not see the end of the file (trailing bytes, a frame cut short), so `drain` reads the rest: only then has
the digest been verified.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, assert_never

import zstandard

from agent.errors import ImageError
from agent.model.image import ImageFormat

MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""RFC 8878 section 3.1.1.1.2 lets a frame ask for terabytes; zstd's own default limit is this."""


class ChunkReader(io.RawIOBase, BinaryIO):
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
    """The disk's bytes, in order."""

    def __init__(self, chunks: Iterator[bytes], image_format: ImageFormat, doing: str) -> None:
        self._file = ChunkReader(chunks)
        self._doing = doing
        self._plain: BinaryIO = self._opened(image_format)
        self.done_bytes = 0

    def _opened(self, image_format: ImageFormat) -> BinaryIO:
        match image_format:
            case ImageFormat.RAW:
                return self._file
            case ImageFormat.RAW_ZST:
                decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
                return decompressor.stream_reader(self._file, read_across_frames=True, closefd=False)
        assert_never(image_format)

    def fill(self, view: memoryview) -> int:
        """Fill the whole view, or as much as there is until the end. Raises `ImageError` for what is no zstd."""
        count = 0
        try:
            while count < len(view) and (got := self._plain.readinto(view[count:])):  # type: ignore[attr-defined]
                count += got
        except zstandard.ZstdError as error:
            raise ImageError(self._doing, "it is not intact zstd") from error
        self.done_bytes += count
        return count

    def drain(self) -> None:
        """Read the file to its end, so that its digest is verified."""
        while self._file.read(1024 * 1024):
            pass
