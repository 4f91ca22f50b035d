# SPDX-License-Identifier: Apache-2.0
"""Who must be heard, and how often. Whoever is silent for longer is stuck, and no other part of a process can know what
it holds: such a process is bound to end from then on, even if what hangs can be reached by nobody any more.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Protocol

from agent.errors import AgentError

END_S = 20.0
"""After that a process that should have ended is ended, with every thread's stack in the log: less than systemd's
`TimeoutStopSec`.
"""

Alive = Callable[[], None]


class LoopStuck(AgentError):
    """A loop of the agent's hangs, or came to its end."""

    code = "AGENT.STUCK"
    retryable = True
    advice = "It is started again. If it comes back: the log has every thread's stack; report it."


class Time(Protocol):
    """As much of a clock as it takes."""

    def monotonic_s(self) -> float: ...
    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Wait until `stop` is set (True) or the time is over (False)."""
        ...


class SystemTime:
    """`Time` of this machine."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return monotonic()

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Wait until `stop` is set (True) or the time is over (False)."""
        return stop.wait(timeout_s)


def unwatched() -> None:
    """For a loop that nobody watches."""


@dataclass
class Watch:
    """When each was heard, and for how long it may be silent. Any thread may call."""

    time: Time
    stuck: type[LoopStuck] = LoopStuck
    """What is said of one that hangs."""
    _heard: dict[str, tuple[float, float]] = field(default_factory=dict)

    def hear(self, name: str, limit_s: float) -> None:
        """It lives, and is heard again within that time, or is let go."""
        self._heard[name] = (self.time.monotonic_s(), limit_s)

    def let_go(self, name: str) -> None:
        """It is over, and well."""
        self._heard.pop(name, None)

    def silent(self) -> list[LoopStuck]:
        """What is to be said of those that hang."""
        now_s = self.time.monotonic_s()
        return [
            self.stuck(
                f"watching {name}",
                f"it was silent for {now_s - heard_s:.0f} s, and is never for more than {limit_s:.0f} s",
            )
            for name, (heard_s, limit_s) in list(self._heard.items())
            if now_s - heard_s > limit_s
        ]


def doom() -> None:
    """This process is bound to end."""
    faulthandler.dump_traceback_later(END_S, exit=True)
