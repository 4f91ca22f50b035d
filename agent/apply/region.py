# SPDX-License-Identifier: Apache-2.0
"""A part of a disk as if it were a disk: what would reach past an end of it is refused."""

from __future__ import annotations

from agent.errors import DeviceError
from agent.host.doors import BlockDevice


class Region:
    """`BlockDevice` of what lies between two places of another."""

    def __init__(self, disk: BlockDevice, offset_bytes: int, size_bytes: int) -> None:
        self.whole = self._disk = disk
        self._start = offset_bytes
        self.size_bytes = size_bytes
        self.logical_sector_bytes = disk.logical_sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """As of a disk."""
        return self._disk.read(self._at("reading", offset_bytes, length_bytes), length_bytes)

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """As of a disk."""
        self._disk.read_into(self._at("reading", offset_bytes, len(view)), view)

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """As to a disk."""
        self._disk.write(self._at("writing", offset_bytes, len(data)), data)

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """As on a disk."""
        self._disk.zero(self._at("zeroing", offset_bytes, length_bytes), length_bytes)

    def flush(self) -> None:
        """The whole disk's cache."""
        self._disk.flush()

    def reread_table(self) -> None:
        """A partition has none."""

    def _at(self, doing: str, offset: int, length: int) -> int:
        if not 0 <= offset <= offset + length <= self.size_bytes:
            told = f"bytes {offset} to {offset + length} of {self.size_bytes}"
            raise DeviceError(f"{doing} a partition", f"past its end: {told}")
        return self._start + offset
