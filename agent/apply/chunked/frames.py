# SPDX-License-Identifier: Apache-2.0
"""Where the frames of a chunked image come from: ranges of one file, or a store with a file for each.

In: chunks, in order. Out: their frames, as they came: nothing is verified here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Protocol

from agent.apply.source import Reader, Source
from agent.errors import ImageTruncated
from agent.model.chunked import Chunk, chunk_path
from agent.model.image import ImageFormat, ImageRef

SKIP_BYTES = 64 * 1024
"""Two frames that are no farther apart are fetched with one request, and what is between them is let go: the frames
of empty chunks, as a rule, some eighty bytes each.
"""


Came = tuple[Chunk, memoryview, Collection[str]]
"""A chunk, its frame, and who gave that."""
Opened = Callable[[ImageRef], AbstractContextManager[Source]]
"""Opens the source of an image."""


class Frames(Protocol):
    """The frames of one image. Any thread may ask, with a buffer of its own of `SKIP_BYTES` and the largest frame.

    copies   at so many servers
    """

    copies: int

    def each(self, chunks: Sequence[Chunk], buffer: memoryview) -> Iterator[Came]:
        """Each chunk with its frame, which is in the buffer until the next. Raises as `Source` does."""
        ...

    def distrust(self, servers: Collection[str]) -> None:
        """The frame that these gave was wrong: all hands ask them last from now on."""
        ...


class FileFrames:
    """One file, read in ranges."""

    def __init__(self, source: Source, doing: str) -> None:
        self._source = source
        self._doing = doing
        self.copies = 1 + len(source.image.mirrors)

    def each(self, chunks: Sequence[Chunk], buffer: memoryview) -> Iterator[Came]:
        """One request for each stretch of frames that are close together."""
        for stretch in stretches(chunks):
            at = stretch[0].offset
            with self._source.reader(at, stretch[-1].end - at) as reader:
                for chunk in stretch:
                    view = buffer[: chunk.end - at]
                    fill(reader, view, f"{self._doing}, chunk {chunk.number}")
                    yield chunk, view[chunk.offset - at :], reader.servers
                    at = chunk.end

    def distrust(self, servers: Collection[str]) -> None:
        """Also readers that are about it turn to another server."""
        self._source.distrust(servers)


class StoreFrames:
    """A file for each frame, named by its digest: such files never change, so every cache may keep them."""

    def __init__(self, image: ImageRef, opened: Opened, doing: str) -> None:
        self._image = image
        self._opened = opened
        self._doing = doing
        self._lock = Lock()
        self._stores = [image.url, *image.mirrors]
        self.copies = len(self._stores)

    def each(self, chunks: Sequence[Chunk], buffer: memoryview) -> Iterator[Came]:
        """One request for each frame."""
        for chunk in chunks:
            view = buffer[: chunk.length]
            stores = {beside(each, chunk_path(chunk.frame_sha256)): each for each in self._stores}
            with self._opened(self._place(chunk, *stores)) as source, source.reader(0, chunk.length) as reader:
                fill(reader, view, f"{self._doing}, chunk {chunk.number}")
            yield chunk, view, [stores[each] for each in reader.servers]

    def distrust(self, servers: Collection[str]) -> None:
        """They are asked last: see `Mirrors.distrust`."""
        with self._lock:
            self._stores = sorted(self._stores, key=lambda each: each in servers)

    def _place(self, chunk: Chunk, url: str, *mirrors: str) -> ImageRef:
        return ImageRef(
            url=url,
            mirrors=mirrors,
            format=ImageFormat.RAW_ZST,
            sha256=chunk.frame_sha256.hex(),
            file_bytes=chunk.length,
            access=self._image.access,
        )


def beside(url: str, path: str) -> str:
    """The URL of a file that lies at a path relative to this one."""
    return f"{url.partition('?')[0].rpartition('/')[0]}/{path}"


def stretches(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    """Chunks whose frames are close together in the file."""
    first = 0
    for index in range(1, len(chunks) + 1):
        if index == len(chunks) or chunks[index].offset - chunks[index - 1].end > SKIP_BYTES:
            yield chunks[first:index]
            first = index


def fill(reader: Reader, view: memoryview, doing: str) -> None:
    """The whole view. Raises `ImageTruncated`."""
    got = reader.fill(view)
    if got < len(view):
        raise ImageTruncated(doing, f"{got} of {len(view)} bytes came")
