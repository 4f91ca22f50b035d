# SPDX-License-Identifier: Apache-2.0
"""The controller's background work, each in a thread of its own, and the watch over them and over the server.

A thread that dies, or hangs for longer than its work ever takes, takes the process with it: systemd starts it again,
and the database knows the rest.
"""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic

import structlog

from agent.controller.context import Controller
from agent.errors import AgentError

LOOK_S = 0.5
JOIN_S = 3.0
"""For what else is going on, when something died."""
END_S = 20.0
"""After that a process that should have ended is ended, with every thread's stack in the log: less than systemd's
`TimeoutStopSec`.
"""

log = structlog.get_logger("controller")


class WorkStuck(AgentError):
    """Something that goes on in the background hangs, or the server does."""

    code = "CONTROLLER.STUCK"
    retryable = True
    advice = "It is started again. If it comes back: the log has every thread's stack; report it."


@dataclass(frozen=True)
class Work:
    """What is done again and again, with a pause between; once takes `limit_s` at most."""

    name: str
    do: Callable[[Controller], None]
    pause_s: float
    limit_s: float


@dataclass
class Watch:
    """When each was heard, and for how long it may be silent. Any thread may call."""

    heard: dict[str, tuple[float, float]] = field(default_factory=dict)

    def hear(self, name: str, limit_s: float) -> None:
        """It lives."""
        self.heard[name] = (monotonic(), limit_s)

    def must_hear_all(self) -> None:
        """Raises `WorkStuck`."""
        for name, (heard_s, limit_s) in list(self.heard.items()):
            if (silent_s := monotonic() - heard_s) > limit_s:
                told = f"it was silent for {silent_s:.0f} s, and is never for more than {limit_s:.0f} s"
                raise WorkStuck(f"watching {name}", told)


@contextmanager
def background(controller: Controller, works: tuple[Work, ...], watch: Watch) -> Iterator[None]:
    """Threads beside this one. The first that dies or hangs ends the process, with its error."""
    stop = Event()
    died: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> Callable[[], None]:
        def thread() -> None:
            try:
                run()
            except BaseException as error:
                log.exception("background thread died")
                died.append(error)
                signal.raise_signal(signal.SIGTERM)

        return thread

    threads = [
        Thread(target=guarded(lambda work=work: _every(work, controller, stop, watch)), name=work.name, daemon=True)  # type: ignore[misc]
        for work in works
    ]
    guard = Thread(target=guarded(lambda: _watch(stop, watch)), name="watch", daemon=True)
    for thread in (*threads, guard):
        thread.start()
    try:
        yield
    finally:
        stop.set()
        controller.wakeups.close()
        for thread in threads:
            thread.join(JOIN_S if died else None)
        controller.store.close()
    if died:
        raise died[0]


def _every(work: Work, controller: Controller, stop: Event, watch: Watch) -> None:
    """Again and again until stopped."""
    silence_s = work.pause_s + work.limit_s
    watch.hear(work.name, silence_s)
    while not stop.wait(work.pause_s):
        work.do(controller)
        watch.hear(work.name, silence_s)


def _watch(stop: Event, watch: Watch) -> None:
    """Until stopped. The process is bound to end once anything hangs, even if nobody can reach it any more."""
    while not stop.wait(LOOK_S):
        try:
            watch.must_hear_all()
        except WorkStuck:
            faulthandler.dump_traceback_later(END_S, exit=True)
            raise
