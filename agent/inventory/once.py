# SPDX-License-Identifier: Apache-2.0
"""Files and udev's database, read once for all collectors of one inventory: what two ask for, both see alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import TypeVar

from agent.host.doors import Files, Udev
from agent.host.network_doors import Watch

T = TypeVar("T")


class Found(dict[str, T]):
    """What was found at each path when it was asked for first. What fails is tried again."""

    def __init__(self, look: Callable[[str], T]) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, path: str) -> T:
        found = self[path] = self._look(path)
        return found


class FilesOnce:
    """`doors.Files` for as long as one inventory takes, which only looks."""

    def __init__(self, files: Files) -> None:
        self.read_bytes = files.read_bytes
        self.read_text = Found(files.read_text).__getitem__
        self.exists = Found(files.exists).__getitem__
        self.names = Found(files.names).__getitem__
        self.resolve = Found(files.resolve).__getitem__


class UdevOnce:
    """`doors.Udev` for as long as one inventory takes. What fails is tried again by whoever asks next."""

    def __init__(self, udev: Udev) -> None:
        self._udev = udev
        self._lock = Lock()
        self._blocks: Mapping[str, Mapping[str, str]] | None = None

    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """As they were when they were asked for first."""
        with self._lock:
            if self._blocks is None:
                self._blocks = self._udev.block_devices()
            return self._blocks

    def devices(self, subsystem: str) -> Mapping[str, Mapping[str, str]]:
        """Of another subsystem."""
        return self._udev.devices(subsystem)

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait."""
        self._udev.settle(timeout_s)

    def watching(self) -> AbstractContextManager[Watch]:
        """From now on."""
        return self._udev.watching()


class UdevAsItIs(UdevOnce):
    """The same, which waits for nothing: what it tells is good to say that a disk is not there, and for no more."""

    def settle(self, timeout_s: float = 30.0) -> None:
        """Not at all."""
