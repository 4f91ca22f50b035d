# SPDX-License-Identifier: Apache-2.0
"""What time it is: passed in, so that tests have their own. A clock that jumps says so: whoever compares times from
before with times from after would take an instant for years.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol

from agent.program.log import Logger

JUMP_S = 60.0
"""Further from the time that has passed no clock is that is merely corrected."""

log = Logger("controller")


class Clock(Protocol):
    """Tells the time."""

    @property
    def jumped_at(self) -> datetime | None:
        """What it said after it jumped last, in this process; None if it never did."""
        ...

    def now(self) -> datetime:
        """With its zone, which is UTC."""
        ...


class SystemClock:
    """The machine's own."""

    def __init__(
        self, now_s: Callable[[], float] = time.time, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_s = now_s
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._ahead_s = now_s() - monotonic_s()
        self.jumped_at: datetime | None = None

    def now(self) -> datetime:
        """The time of day, in UTC."""
        with self._lock:
            now_s = self._now_s()
            ahead_s = now_s - self._monotonic_s()
            jump_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
            now = datetime.fromtimestamp(now_s, UTC)
            if abs(jump_s) > JUMP_S:
                self.jumped_at = now
                log.warning("the clock jumped: nobody is blamed for the time between", seconds=round(jump_s))
        return now
