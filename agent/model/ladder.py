# SPDX-License-Identifier: Apache-2.0
"""The way to a server, rung by rung: name → route → TCP → TLS → HTTP, each with its time, on those before it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from agent.model.frozen import Frozen


class Step(StrEnum):
    """The rungs, from the ground."""

    DNS = "DNS"
    ROUTE = "route"
    TCP = "TCP"
    TLS = "TLS"
    HTTP = "HTTP"


class Rung(Frozen):
    """One of them: what was found, or why it bears nothing."""

    step: Step
    took_ms: float
    found: str = ""
    fault: str | None = None

    def __str__(self) -> str:
        return f"{self.step} {self.fault or self.found} ({self.took_ms:.0f} ms)"


class Ladder(Frozen):
    """As far as it leads. `server_time` is what the server takes for now, and `our_time` what we took it for then."""

    url: str
    rungs: tuple[Rung, ...]
    server_time: datetime | None = None
    our_time: datetime | None = None

    @property
    def broken(self) -> Rung | None:
        """The rung that bears nothing; None where the server answers."""
        return next((rung for rung in self.rungs if rung.fault is not None), None)

    def __str__(self) -> str:
        return " → ".join(str(rung) for rung in self.rungs)
