# SPDX-License-Identifier: Apache-2.0
"""Stage 3: the disk's bytes out of the file's, in constant memory.

Each is strict: a file that is cut anywhere, is damaged, or goes on behind its end is an error, never an end.
"""

from __future__ import annotations

from typing import Protocol


class Pieces(Protocol):
    """The file."""

    def read(self, _size_bytes: int = -1) -> memoryview:
        """The next piece, whatever its size; empty at the file's end."""
        ...


class Decoder(Protocol):
    """The disk's bytes, in order."""

    def fill(self, view: memoryview) -> int:
        """Fill the whole view; less only at the image's end. Raises `ImageError`, `ImageTruncated`."""
        ...
