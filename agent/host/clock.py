# SPDX-License-Identifier: Apache-2.0
"""The door to time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event

from agent.errors import HostError


class RealClock:
    """`doors.Clock` over the operating system."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def set(self, now: datetime) -> None:
        """The system's clock; the one that runs on a battery is left to the kernel and to who has the machine."""
        try:
            time.clock_settime(time.CLOCK_REALTIME, now.timestamp())
        except OSError as error:
            raise HostError(f"setting the clock to {now:%Y-%m-%d %H:%M:%S} UTC", error.strerror or "") from error

    def monotonic_s(self) -> float:
        """Seconds that never go back, whatever is done to the time of day."""
        return time.monotonic()

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Wait until `stop` is set (True) or the time is over (False)."""
        return stop.wait(timeout_s)
