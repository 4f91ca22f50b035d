# SPDX-License-Identifier: Apache-2.0
"""Holes come in pieces, from several threads and not quite in order; the device is told of them in long runs.

A disk takes one order for a gigabyte as lightly as one for 64 KiB.
"""

from __future__ import annotations

from threading import Lock

from agent.apply.target import Target

LONG_BYTES = 256 * 1024 * 1024
"""No run is kept that is longer: a bomb of zeroes is to be found where it passes the disk's limit, not at its end."""
MOST_RUNS = 64


class Holes:
    """What is to be zero and was not yet made so."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = Lock()
        self._end_of: dict[int, int] = {}
        self._start_of: dict[int, int] = {}

    def add(self, start: int, end: int) -> None:
        """One more; it is joined with its neighbours."""
        with self._lock:
            if start in self._start_of:
                start = self._start_of.pop(start)
            if end in self._end_of:
                end = self._end_of.pop(end)
            self._end_of[start], self._start_of[end] = end, start
            if end - start >= LONG_BYTES or len(self._end_of) > MOST_RUNS:
                self._zero()

    def drain(self) -> None:
        """When this returns, the device was told of all that came before."""
        with self._lock:
            self._zero()

    def _zero(self) -> None:
        runs = sorted(self._end_of.items())
        self._end_of.clear()
        self._start_of.clear()
        for start, end in runs:
            self._target.zero(start, end - start)
