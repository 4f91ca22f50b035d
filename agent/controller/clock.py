# SPDX-License-Identifier: Apache-2.0
"""What time it is: passed in, so that tests have their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """With its zone, which is UTC."""
        ...


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)
