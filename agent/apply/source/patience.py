# SPDX-License-Identifier: Apache-2.0
"""How long a reader puts up with servers that fail: half an hour without one byte, from any of them."""

from __future__ import annotations

from threading import Event

import structlog

from agent.apply.crew import Stopped
from agent.errors import AgentError, ImageTruncated
from agent.host.doors import Clock

PATIENCE_S = 1800.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
TRUNCATIONS = 5
"""So many bodies in a row that end early without a byte more: the server has no more."""
MUCH_BYTES = 64 * 1024
"""A connection that brought as much was a good one: after it, the next attempt is made at once."""

log = structlog.get_logger("image")


class Patience:
    """Of one reader."""

    def __init__(self, clock: Clock, stop: Event) -> None:
        self._clock = clock
        self._stop = stop
        self._quiet_since_s = 0.0
        self._failures = 0
        self._truncations = 0

    def failed(self, error: AgentError, began_s: float, came_bytes: int, others: int) -> None:
        """An attempt that began then and brought so much has failed; `others` may be asked at once instead.

        Waits before the next. Raises the error when patience is over, `Stopped` when the work ended elsewhere.
        """
        if came_bytes:
            self._failures = self._truncations = 0
            self._quiet_since_s = self._clock.monotonic_s()
        elif not self._failures:
            self._quiet_since_s = began_s
        self._failures += came_bytes < MUCH_BYTES
        self._truncations += isinstance(error, ImageTruncated) and not came_bytes
        quiet_s = self._clock.monotonic_s() - self._quiet_since_s
        if self._truncations >= TRUNCATIONS or quiet_s > PATIENCE_S:
            raise error
        rounds = self._failures - 1 - others
        pause_s = 0.0 if rounds < 0 else min(FIRST_PAUSE_S * 2**rounds, LONGEST_PAUSE_S)
        log.warning("image interrupted", error=str(error), pause_s=pause_s)
        if self._clock.wait(self._stop, pause_s):
            raise Stopped
