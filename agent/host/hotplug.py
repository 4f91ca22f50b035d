# SPDX-License-Identifier: Apache-2.0
"""The ear for hardware that comes and goes: udev's events of whole disks and of NICs.

In: nothing. Out: whether one was plugged in or pulled. It must not count what the kernel makes of itself (loops,
bridges, mapped devices, partitions): a busy server makes those all day.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from pyudev import Context, Monitor

from agent.errors import HostError

DOING = "listening for udev's events"
COMES_AND_GOES = frozenset({"add", "remove"})
MADE = "/devices/virtual/"
"""Where the kernel has devices without hardware, in sysfs (drivers/base/core.c, virtual_device_parent)."""
MOST = 1000
"""Events heard in one go: news are news, however many."""


class Event(Protocol):
    """What is asked of pyudev's device."""

    @property
    def action(self) -> str: ...
    @property
    def subsystem(self) -> str: ...
    @property
    def device_type(self) -> str | None: ...
    @property
    def device_path(self) -> str: ...


class Heard:
    """`network_doors.Watch` over one monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def wait(self, timeout_s: float) -> bool:
        """Until something is heard, or the time is over; all that was heard by then is heard. Raises `HostError`."""
        try:
            found = self._monitor.poll(timeout_s)
            matters = False
            for _ in range(MOST):
                if found is None:
                    break
                matters = is_plugging(found) or matters
                found = self._monitor.poll(0)
        except OSError as error:
            raise HostError(DOING, error.strerror or str(error)) from error
        return matters


@contextmanager
def hearing(source: Literal["udev", "kernel"] = "udev") -> Iterator[Heard]:
    """From now on; of udev, once its rules are done with a device. Raises `HostError`."""
    try:
        monitor = Monitor.from_netlink(Context(), source)
        monitor.filter_by("block", "disk")
        monitor.filter_by("net")
        monitor.start()
    except (OSError, ImportError) as error:
        raise HostError(DOING, str(error)) from error
    yield Heard(monitor)


def is_plugging(event: Event) -> bool:
    """Whether that is hardware which came or went."""
    return (
        event.action in COMES_AND_GOES
        and (event.subsystem, event.device_type) != ("block", "partition")
        and not event.device_path.startswith(MADE)
    )
