# SPDX-License-Identifier: Apache-2.0
"""Stage 4: the disk's bytes onto the disk, in order. Runs of zeroes are zeroed by the device and not written."""

from __future__ import annotations

from agent.errors import ImageTooLarge
from agent.host.doors import BlockDevice

GRAIN_BYTES = 64 * 1024
ZEROES = bytes(GRAIN_BYTES)


class Sink:
    """A position on a disk that only moves forward, up to a limit."""

    def __init__(self, disk: BlockDevice, offset_bytes: int, limit_bytes: int, doing: str) -> None:
        self._disk = disk
        self._at = offset_bytes
        self._limit = limit_bytes
        self._doing = doing
        self._hole_from: int | None = None
        self.written_bytes = 0

    def put(self, view: memoryview) -> None:
        """The next bytes; whole grains but for the last time. Raises `ImageTooLarge` at the limit."""
        if self._at + len(view) > self._limit:
            raise ImageTooLarge(self._doing, f"it reaches past byte {self._limit} of the disk")
        start = 0
        while start < len(view):
            end = self._run_end(view, start)
            if self._is_hole(view, start):
                self._hole_from = self._at + start if self._hole_from is None else self._hole_from
            else:
                self._close_hole(self._at + start)
                self._write(self._at + start, view[start:end])
            start = end
        self._at += len(view)

    def finish(self) -> int:
        """Zero what is open, flush; returns where the image ended."""
        self._close_hole(self._at)
        self._disk.flush()
        return self._at

    def _is_hole(self, view: memoryview, start: int) -> bool:
        return bytes(view[start : start + GRAIN_BYTES]) == ZEROES

    def _run_end(self, view: memoryview, start: int) -> int:
        """Where the run of like grains that begins here ends."""
        hole = self._is_hole(view, start)
        end = start + GRAIN_BYTES
        while end < len(view) and self._is_hole(view, end) == hole:
            end += GRAIN_BYTES
        return min(end, len(view))

    def _close_hole(self, end: int) -> None:
        if self._hole_from is not None:
            self._disk.zero(self._hole_from, end - self._hole_from)
            self._hole_from = None

    def _write(self, offset: int, piece: memoryview) -> None:
        sector = self._disk.logical_sector_bytes
        short = -len(piece) % sector  # an image that ends within a sector: the rest of it is zero
        self._disk.write(offset, bytes(piece) + bytes(short) if short else piece)
        self.written_bytes += len(piece)
