# SPDX-License-Identifier: Apache-2.0
"""Files and udev's database, read once for all collectors of one inventory: what two ask for, both see alike."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from threading import Lock

from agent.host.doors import Files, Udev
from agent.host.network_doors import Watch


class FilesOnce:
    """`doors.Files` for as long as one inventory takes, which only looks. What fails is tried again."""

    def __init__(self, files: Files) -> None:
        self._texts: dict[str, str] = {}
        self._exist: dict[str, bool] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._resolved: dict[str, str] = {}
        self._files = files
        self.read_bytes = files.read_bytes

    def read_text(self, path: str) -> str:
        """As it was when it was asked for first."""
        found = self._texts.get(path)
        if found is None:
            found = self._texts[path] = self._files.read_text(path)
        return found

    def exists(self, path: str) -> bool:
        """The same."""
        found = self._exist.get(path)
        if found is None:
            found = self._exist[path] = self._files.exists(path)
        return found

    def names(self, directory: str) -> tuple[str, ...]:
        """The same."""
        found = self._names.get(directory)
        if found is None:
            found = self._names[directory] = self._files.names(directory)
        return found

    def resolve(self, path: str) -> str:
        """The same."""
        found = self._resolved.get(path)
        if found is None:
            found = self._resolved[path] = self._files.resolve(path)
        return found


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
