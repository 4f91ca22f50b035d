# SPDX-License-Identifier: Apache-2.0
"""The door to the udev database: the only module that uses pyudev.

In: nothing. Out: properties of devices as udev's rules left them. It must not guess where udev says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from agent.errors import HostError
from agent.host.doors import Run

if TYPE_CHECKING:
    import pyudev


class RealUdev:
    """`doors.Udev` over libudev. One context is kept: making one starts `ldconfig` to find libudev."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = Lock()  # libudev is not thread-safe (libudev(3))
        self._context: pyudev.Context | None = None

    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties, of disks and partitions."""
        return self.devices("block")

    def devices(self, subsystem: str) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties, of one subsystem's devices."""
        doing = "reading the udev database"
        try:
            with self._lock:
                devices = self._opened().list_devices(subsystem=subsystem)
                return OnDemand({str(device.sys_name): device for device in devices}, self._lock)
        except ImportError as error:
            raise HostError(doing, "libudev is not installed") from error
        except OSError as error:
            raise HostError(doing, error.strerror or str(error)) from error

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until udev has handled every event so far."""
        self._run(settle_argv(timeout_s), timeout_s=timeout_s + 5)

    def _opened(self) -> pyudev.Context:
        import pyudev  # lazy: import time counts in the ramdisk

        if self._context is None:
            self._context = pyudev.Context()
        return self._context


class OnDemand(Mapping[str, Mapping[str, str]]):
    """Devices that were there, each with its properties as they were when they were asked for first: reading them takes
    half of an inventory's time, and of most, which are loops and the like, nobody wants to know.
    """

    def __init__(self, devices: dict[str, pyudev.Device], lock: Lock) -> None:
        self._devices = devices
        self._lock = lock
        self._read: dict[str, Mapping[str, str]] = {}

    def __getitem__(self, name: str) -> Mapping[str, str]:
        with self._lock:
            if name not in self._read:
                self._read[name] = dict(self._devices[name].properties)
            return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)


def settle_argv(timeout_s: float) -> list[str]:
    """udevadm takes whole seconds; 0 would mean not to wait at all."""
    return ["udevadm", "settle", f"--timeout={max(1, round(timeout_s))}"]
