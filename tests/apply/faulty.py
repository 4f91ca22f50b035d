# SPDX-License-Identifier: Apache-2.0
"""A disk that goes wrong once: in front of a real one, at the n-th write, zeroing, reading or flush."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Lock

from agent.errors import DeviceError
from agent.host.doors import BlockDevice
from tests.apply.real import Block


class Trouble(Enum):
    """What happens then."""

    ERROR = "EIO: Input/output error"
    FULL = "ENOSPC: No space left on device"
    SHORT = "half of it is written, then EIO"
    LIE = "half of it is written, and all is said to be"
    FLIP = "one bit of it is another one"


SILENT = (Trouble.LIE, Trouble.FLIP)
"""Nobody is told of these: only reading back can find them."""


@dataclass
class FaultyDisk:
    """`BlockDevice`. Counts down at each call, and goes wrong at 0."""

    disk: BlockDevice
    trouble: Trouble
    left: int
    lock: Lock

    @property
    def size_bytes(self) -> int:
        """As it is."""
        return self.disk.size_bytes

    @property
    def logical_sector_bytes(self) -> int:
        """As it is."""
        return self.disk.logical_sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Or EIO."""
        self._or_error("reading")
        return self.disk.read(offset_bytes, length_bytes)

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """Or EIO."""
        self._or_error("reading")
        self.disk.read_into(offset_bytes, view)

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Or what there is of trouble."""
        if not self._hit():
            self.disk.write(offset_bytes, data)
            return
        if self.trouble is Trouble.FLIP:
            changed = bytearray(data)
            changed[len(changed) // 3] ^= 1 << len(changed) % 8
            self.disk.write(offset_bytes, changed)
            return
        if self.trouble in (Trouble.SHORT, Trouble.LIE):
            sector = self.logical_sector_bytes
            self.disk.write(offset_bytes, bytes(data[: len(data) // 2 // sector * sector]))
        if self.trouble is not Trouble.LIE:
            raise DeviceError(f"writing at byte {offset_bytes}", self.trouble.value)

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Or an error."""
        self._or_error("zeroing")
        self.disk.zero(offset_bytes, length_bytes)

    def flush(self) -> None:
        """Or an error."""
        self._or_error("flushing")
        self.disk.flush()

    def reread_table(self) -> None:
        """As it is."""
        self.disk.reread_table()

    def _hit(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left == 0

    def _or_error(self, doing: str) -> None:
        if self.trouble not in SILENT and self._hit():
            raise DeviceError(doing, self.trouble.value)


@dataclass
class FaultyBlock(Block):
    """`doors.Block` whose disks go wrong when they are written."""

    trouble: Trouble
    at: int

    @contextmanager
    def open_exclusive(self, path: str) -> Iterator[BlockDevice]:
        """With the trouble to come."""
        with super().open_exclusive(path) as device:
            yield FaultyDisk(device, self.trouble, self.at, Lock())
