# SPDX-License-Identifier: Apache-2.0
"""How often something may happen, by whom: a bucket each, which holds so many seconds' worth and fills at the rate."""

from __future__ import annotations

from collections import OrderedDict

BURST_S = 20.0
MOST_CALLERS = 20_000


class Buckets:
    """Token buckets by key, at most so many; a key that was forgotten begins with a full one."""

    def __init__(self, rate: float, most: int = MOST_CALLERS, burst_s: float = BURST_S) -> None:
        """`rate` in calls a second; 0 is no limit. A full one holds `burst_s` seconds' worth."""
        self._rate = rate
        self._size = rate * burst_s
        self._most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now_s: float) -> float:
        """One call; the seconds to wait, 0 if it may be made."""
        if not self._rate:
            return 0.0
        level, at_s = self._levels.get(key, (self._size, now_s))
        level = min(self._size, level + (now_s - at_s) * self._rate)
        wait_s = 0.0 if level >= 1 else (1 - level) / self._rate
        self._levels[key] = (level - 1 if not wait_s else level, now_s)
        self._levels.move_to_end(key)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return wait_s
