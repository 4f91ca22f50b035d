# SPDX-License-Identifier: Apache-2.0
"""Reading what comes through a door, or from a source, to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Filling(Protocol):
    """A body, or a reader."""

    def fill(self, view: memoryview) -> int:
        """The next bytes; less than the view at the end."""
        ...


def pieces(body: Filling, size_bytes: int = 64 * 1024) -> Iterator[bytes]:
    """Piece by piece, to the end."""
    buffer = memoryview(bytearray(size_bytes))
    while True:
        count = body.fill(buffer)
        yield bytes(buffer[:count])
        if count < size_bytes:
            return


def whole(body: Filling, size_bytes: int = 64 * 1024) -> bytes:
    """All of it."""
    return b"".join(pieces(body, size_bytes))
