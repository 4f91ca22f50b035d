# SPDX-License-Identifier: Apache-2.0
"""The time that tests have: what is told of them goes through here, and ends a test whose time is over.

It is an `Advance`: a test that tells how far it is, as all do every second, is ended where a recalled job would be.
"""

from __future__ import annotations

from agent.errors import TimeOver
from agent.host.doors import Clock
from agent.model.job import Advance
from agent.model.validation import Trial


class Watch:
    """Of one validation."""

    def __init__(self, clock: Clock, advance: Advance, count: int, limit_s: float | None) -> None:
        self._clock = clock
        self._advance = advance
        self._count = count
        self._end_s = None if limit_s is None else clock.monotonic_s() + limit_s
        self._place = 0
        self._trial: Trial | None = None
        self._limit_s = 0.0
        self._began_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the time of all tests is."""
        return self._end_s is not None and self._clock.monotonic_s() >= self._end_s

    def begin(self, trial: Trial) -> None:
        """The next test."""
        self._place += 1
        self._trial = trial
        self._began_s, self._limit_s = self._clock.monotonic_s(), trial.limit_s

    def allow(self, more_s: float) -> None:
        """The present test has so much more to do here than its settings tell."""
        self._limit_s += more_s

    def __call__(self, done: int, total: int | None, text: str | None = None, /) -> None:
        """Raises `TimeOver`, or `Recalled` where nobody wants it any more."""
        trial = self._trial
        if trial is None:
            return self._advance(0, None, text)
        self._advance(0, None, f"{self._place} of {self._count}: {trial.test}{f', {text}' if text else ''}")
        if self.is_over:
            raise TimeOver(f"doing {trial.test}", "the time of all tests is over")
        if self._clock.monotonic_s() >= self._began_s + self._limit_s:
            raise TimeOver(f"doing {trial.test}", f"it did not end in {self._limit_s:.0f} s")
        return None
