# SPDX-License-Identifier: Apache-2.0
"""Loops, each in a thread of its own, and the watch over them: one that dies or hangs ends the process.

A loop says that it is alive once a turn. One that was silent for longer than any turn of its takes is stuck, and no
other part of the agent can know what it holds: the process ends, systemd starts it again, the journal knows the rest.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from threading import Event, Thread

import structlog

from agent.errors import AgentError
from agent.host.doors import Clock
from agent.model.fault import Fault

END_S = 20.0
"""After that a process that should have ended is ended, with every thread's stack in the log: less than systemd's
`TimeoutStopSec`.
"""

Alive = Callable[[], None]
log = structlog.get_logger("loops")


class LoopStuck(AgentError):
    """A loop of the agent's hangs, or came to its end."""

    code = "AGENT.STUCK"
    retryable = True
    advice = "It is started again. If it comes back: the log has every thread's stack; report it."


def unwatched() -> None:
    """For a loop that nobody watches."""


@dataclass(frozen=True)
class Loop:
    """`run` is given what it has to call at least every `limit_s`, for as long as it goes on. What hangs, or dies,
    and is not vital is told, and ends nothing: a process whose end would cost more than what it lacks.
    """

    name: str
    run: Callable[[Alive], object]
    limit_s: float
    is_vital: bool = True


class Loops:
    """From their start to their end. For the main thread."""

    def __init__(
        self, clock: Clock, stop: Event, loops: Sequence[Loop], died: list[BaseException] | None = None
    ) -> None:
        """A loop that returns before `stop` is set is as dead as one that raises. `died`: of other threads, too."""
        self._clock = clock
        self._stop = stop
        self._loops = loops
        self._heard_s: dict[str, float] = {}
        self._died = [] if died is None else died
        self._lacking: dict[str, Fault] = {}
        """What ended loops that are not vital."""
        self._threads = [Thread(target=self._run, args=(loop,), name=loop.name, daemon=True) for loop in loops]

    def start(self) -> None:
        """All of them."""
        for loop in self._loops:
            self._hear(loop)
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Raises what ended one of them, or `LoopStuck` for one that is silent."""
        if (fault := self.fault()) is not None:
            raise fault

    def fault(self) -> BaseException | None:
        """What ended one of them. If one is silent, the process is bound to end from now on, even if what hangs can be
        reached by nobody any more.
        """
        stuck = self._stuck(is_vital=True)
        if stuck and not self._died:
            faulthandler.dump_traceback_later(END_S, exit=True)
            self._died.extend(stuck)
        return self._died[0] if self._died else None

    @property
    def problems(self) -> tuple[Fault, ...]:
        """What hangs, or has died, and ends nothing."""
        dead = dict(self._lacking)
        silent = self._stuck(is_vital=False, but=dead)
        return (*dead.values(), *map(Fault.of, silent))

    def join(self, within_s: float) -> None:
        """All together are given so long."""
        ends_s = self._clock.monotonic_s() + within_s
        for thread in self._threads:
            thread.join(max(0.0, ends_s - self._clock.monotonic_s()))

    def _stuck(self, *, is_vital: bool, but: Container[str] = ()) -> list[LoopStuck]:
        now_s = self._clock.monotonic_s()
        silent = [
            (loop, now_s - self._heard_s[loop.name])
            for loop in self._loops
            if loop.is_vital is is_vital and loop.name in self._heard_s and loop.name not in but
        ]
        return [
            LoopStuck(
                f"watching the {loop.name} loop",
                f"it was silent for {silent_s:.0f} s, and is never for more than {loop.limit_s:.0f} s",
            )
            for loop, silent_s in silent
            if silent_s > loop.limit_s
        ]

    def _hear(self, loop: Loop) -> None:
        self._heard_s[loop.name] = self._clock.monotonic_s()

    def _run(self, loop: Loop) -> None:
        try:
            loop.run(lambda: self._hear(loop))
            if not self._stop.is_set():
                raise LoopStuck(f"watching the {loop.name} loop", "it came to an end, and nobody had asked for that")
        except BaseException as error:
            if loop.is_vital:
                self._died.append(error)
                return
            log.exception("a loop that is not vital has ended", loop=loop.name)
            fault = Fault.of(error)
            told = f"the {loop.name} loop has ended: {fault.message}"
            self._lacking[loop.name] = fault.model_copy(update={"message": told})
