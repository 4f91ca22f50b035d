# SPDX-License-Identifier: Apache-2.0
"""So many bytes of memory, for all who take bytes from others: whoever needs more than is left waits.

What is small takes none of it: nobody who asks a little waits for who brings much.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Condition

SMALL_BYTES = 64 * 1024


class Room:
    """Counted, not allocated."""

    def __init__(self, total_bytes: int) -> None:
        self._left = total_bytes
        self._given = Condition()

    def take(self, size: int, within_s: float) -> bool:
        """Whether there was room within that time. What was taken is given back."""
        if size <= SMALL_BYTES:
            return True
        with self._given:
            if not self._given.wait_for(lambda: self._left >= size, max(0.0, within_s)):
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Back."""
        if size > SMALL_BYTES:
            with self._given:
                self._left += size
                self._given.notify_all()


class Share:
    """What one of them has of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken: deque[int] = deque()

    def take(self, size: int, within_s: float) -> bool:
        """Whether there was room within that time."""
        is_there = self._room.take(size, within_s)
        if is_there:
            self._taken.append(size)
        return is_there

    def leave(self) -> None:
        """All of it, once, whoever says so: a thread that closes the line may be another."""
        with suppress(IndexError):
            while True:
                self._room.give(self._taken.popleft())
