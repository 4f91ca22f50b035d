# SPDX-License-Identifier: Apache-2.0
"""Stage 1: an image's file, wherever it is: read from beginning to end, or in ranges by several threads."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from agent.model.image import ImageRef


class Reader(Protocol):
    """A range of the file, forward. Goes on by itself, from the exact byte, after whatever can be got over."""

    def fill(self, view: memoryview) -> int:
        """The next bytes: the whole view, or less only at the end of the range or the file. Raises `ImageError`;
        `LinkError` when patience is over; `Stopped` when the work ended elsewhere.
        """
        ...


class SourceReader(Reader, Protocol):
    """One that reads from a source itself."""

    @property
    def servers(self) -> Collection[str]:
        """The URLs of those that gave what the last `fill` brought; none for a file of this machine."""
        ...


class Source(Protocol):
    """The file. What it reads is counted by its meter, as stage SOURCE."""

    @property
    def image(self) -> ImageRef:
        """What was asked for, with a digest of its own by now, and its length where that is known."""
        ...

    @property
    def name(self) -> str:
        """For messages: where it is, without any secret."""
        ...

    @property
    def size_bytes(self) -> int | None:
        """The file's length, where it is known."""
        ...

    @property
    def does_ranges(self) -> bool:
        """Whether `reader` may be asked for any range; else for all of it, once."""
        ...

    def reader(self, offset_bytes: int = 0, length_bytes: int | None = None) -> AbstractContextManager[SourceReader]:
        """One reader a thread. A range ends where the file does, if that is earlier."""
        ...

    def distrust(self, servers: Collection[str]) -> None:
        """What these gave was wrong though it all came: they are asked last from now on, by all readers."""
        ...
