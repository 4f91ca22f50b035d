# SPDX-License-Identifier: Apache-2.0
"""Hearing of changes of the fake machine: of its network, of its hardware."""

from __future__ import annotations

from collections.abc import Callable


class FakeWatch:
    """`network_doors.Watch` that has news whenever the count of changes is another."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._seen = count()

    def wait(self, timeout_s: float) -> bool:
        """Whether anything changed since."""
        before, self._seen = self._seen, self._count()
        return self._seen != before
