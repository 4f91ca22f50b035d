# SPDX-License-Identifier: Apache-2.0
"""zstd of any number of frames (RFC 8878), unpacked straight into the buffers that go to the disk.

The library's stream reader takes a file that is cut within a frame for one that ended. So the file is walked beside
it, from block to block, without looking into them (section 3.1.1): who walks knows where a file may end.
"""

from __future__ import annotations

from collections.abc import Callable

import zstandard

from agent.apply.decode import Pieces
from agent.errors import ImageError, ImageRefused, ImageTruncated

MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""A frame may ask for terabytes (section 3.1.1.1.2); this is what `zstd -d` grants without being asked. Levels up to 19
have 8 MiB; who packs with `--long` or `--ultra` lets every machine that unpacks it pay with so much more memory.
"""
REPEATED = 1
"""The type of a block that is one byte, many times."""
CHECKSUM_BYTES = 4


class Frames:
    """The walk. It is fed with all of the file, and knows whether it may end there."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._part = bytearray()
        self._skip = 0
        self._checksum_bytes = 0
        self._expect(self._begin, 4)

    def feed(self, view: memoryview) -> None:
        """The next bytes. Raises `ImageError` for what no decoder should be given."""
        at, size = 0, len(view)
        while at < size:
            if self._skip:
                step = min(self._skip, size - at)
                self._skip -= step
                at += step
                continue
            if self._next == self._block and not self._part:
                at = self._blocks(view, at)
            took = view[at : at + self._wanted - len(self._part)]
            self._part += took
            at += len(took)
            if len(self._part) == self._wanted:
                header = bytes(self._part)
                self._part.clear()
                self._next(header)

    def end(self) -> None:
        """Raises `ImageTruncated` unless the file may end here."""
        if self._skip or self._part or self._next != self._begin:
            raise ImageTruncated(self._doing, "it ends in the middle of a zstd frame")

    def _expect(self, then: Callable[[bytes], None], count: int) -> None:
        self._next, self._wanted = then, count

    def _begin(self, magic: bytes) -> None:
        if magic[1:] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50:  # a skippable frame (section 3.1.2)
            self._expect(self._skippable, 4)
        elif magic == zstandard.FRAME_HEADER:
            self._expect(self._descriptor, 1)
        else:
            raise ImageError(self._doing, "it is not intact zstd")

    def _skippable(self, size: bytes) -> None:
        self._skip = int.from_bytes(size, "little")
        self._expect(self._begin, 4)

    def _descriptor(self, descriptor: bytes) -> None:
        size = zstandard.frame_header_size(zstandard.FRAME_HEADER + descriptor)
        self._opening = zstandard.FRAME_HEADER + descriptor
        self._expect(self._header, size - len(self._opening))

    def _header(self, rest: bytes) -> None:
        told = zstandard.get_frame_parameters(self._opening + rest)
        if told.window_size > MAX_WINDOW_BYTES:
            evidence = f"its zstd window of {told.window_size} bytes is too large"
            raise ImageRefused(self._doing, evidence, hint="Pack it by zstd --long=27, or without --long.")
        self._checksum_bytes = CHECKSUM_BYTES if told.has_checksum else 0
        self._expect(self._block, 3)

    def _blocks(self, view: memoryview, at: int) -> int:
        """Over blocks whose headers are in the view: `_block`, for tens of thousands of them. Where the next header, or
        the rest of a block, begins, at most the view's end.
        """
        size = len(view)
        while at + 3 <= size and not view[at] & 1:
            at += 3 + content_bytes(view[at : at + 3])
        self._skip = max(at - size, 0)
        return min(at, size)

    def _block(self, header: bytes) -> None:
        self._skip = content_bytes(header)
        if header[0] & 1:  # the frame's last
            self._skip += self._checksum_bytes
            self._expect(self._begin, 4)


def content_bytes(header: bytes | memoryview) -> int:
    """How much of the file follows a block's header (section 3.1.1.2)."""
    return 1 if header[0] >> 1 & 3 == REPEATED else int.from_bytes(header, "little") >> 3


class Walked:
    """The file as the library reads it: nothing passes that was not walked."""

    def __init__(self, feed: Pieces, frames: Frames) -> None:
        self._feed = feed
        self._frames = frames

    def read(self, _size_bytes: int = -1) -> memoryview:
        """A piece, whatever its size."""
        view = self._feed.read()
        self._frames.feed(view)
        return view


class ZstdDecoder:
    """`Decoder` of zstd."""

    def __init__(self, feed: Pieces, doing: str) -> None:
        self._doing = doing
        self._frames = Frames(doing)
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        source = Walked(feed, self._frames)
        self._reader = unpacker.stream_reader(source, read_across_frames=True)  # type: ignore[arg-type]

    def fill(self, view: memoryview) -> int:
        """As promised by `Decoder`."""
        try:
            got = self._reader.readinto(view)
        except zstandard.ZstdError as error:
            raise ImageError(self._doing, "it is not intact zstd") from error
        if got < len(view):
            self._frames.end()
        return got
