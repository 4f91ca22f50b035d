# SPDX-License-Identifier: Apache-2.0
"""udev's database, read once for all collectors of one inventory: it is the most costly thing that they share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from threading import Lock

from agent.host.doors import Udev
from agent.host.network_doors import Watch


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
