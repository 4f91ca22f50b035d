# SPDX-License-Identifier: Apache-2.0
"""How long a reader puts up with servers that fail: for half an hour of waiting, from which what comes is deducted, a
second for as much as the slowest bearable server gives in one. So a server that gives a byte now and then, over a new
connection each time, is given up as one is that gives none.
"""

from __future__ import annotations

from threading import Event

from agent.apply.crew import Stopped
from agent.errors import AgentError, ImageTruncated
from agent.host.answer import SLOWEST_BYTES_PER_S
from agent.host.doors import Clock
from agent.program.log import Logger

PATIENCE_S = 1800.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
TRUNCATIONS = 5
"""So many bodies in a row that end early without a byte more: the server has no more."""
MUCH_BYTES = 64 * 1024
"""A connection that brought as much was a good one: after it, the next attempt is made at once."""

log = Logger("image")


class Patience:
    """Of one reader."""

    def __init__(self, clock: Clock, stop: Event) -> None:
        self._clock = clock
        self._stop = stop
        self._lost_s = 0.0
        self._failures = 0
        self._truncations = 0

    def failed(self, error: AgentError, waited_s: float, came_bytes: int, others: int) -> None:
        """An attempt has failed that we waited for so long, and that brought so much; `others` may be asked at once
        instead.

        Waits before the next. Raises the error when patience is over, `Stopped` when the work ended elsewhere.
        """
        self._lost_s = max(0.0, self._lost_s + waited_s - came_bytes / SLOWEST_BYTES_PER_S)
        if came_bytes:
            self._failures = self._truncations = 0
        self._failures += came_bytes < MUCH_BYTES
        self._truncations += isinstance(error, ImageTruncated) and not came_bytes
        if self._truncations >= TRUNCATIONS or self._lost_s > PATIENCE_S:
            raise error
        rounds = self._failures - 1 - others
        pause_s = 0.0 if rounds < 0 else min(FIRST_PAUSE_S * 2**rounds, LONGEST_PAUSE_S)
        log.warning("image interrupted", error=str(error), pause_s=pause_s)
        if self._clock.wait(self._stop, pause_s):
            raise Stopped
        self._lost_s += pause_s
