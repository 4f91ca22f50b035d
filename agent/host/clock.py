# SPDX-License-Identifier: Apache-2.0
"""The door to time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event


class RealClock:
    """`doors.Clock` over the operating system."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go back, whatever is done to the time of day."""
        return time.monotonic()

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Wait until `stop` is set (True) or the time is over (False)."""
        return stop.wait(timeout_s)
