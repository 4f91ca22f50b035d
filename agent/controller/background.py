# SPDX-License-Identifier: Apache-2.0
"""The controller's background work: loops under the same watch as the agent's, with the server's own turns, and its
threads that answer.

What dies, or hangs for longer than its work ever takes, takes the process with it: systemd starts it again, and the
database knows the rest.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event

from agent.controller.context import Controller
from agent.life.loops import Loop, Loops
from agent.life.sd_notify import Notifier
from agent.life.watch import Alive, LoopStuck, SystemTime, Watch

JOIN_S = 3.0
"""For what else is going on, when something died."""


class WorkStuck(LoopStuck):
    """Something that goes on in the background hangs, or the server does."""

    code = "CONTROLLER.STUCK"


@dataclass(frozen=True)
class Work:
    """What is done again and again, with a pause between; once takes `limit_s` at most."""

    name: str
    do: Callable[[Controller], None]
    pause_s: float
    limit_s: float


def watching() -> Watch:
    """A watch of the controller's."""
    return Watch(SystemTime(), WorkStuck)


@contextmanager
def background(controller: Controller, works: tuple[Work, ...], watch: Watch, notifier: Notifier) -> Iterator[None]:
    """Threads beside this one. The first that dies or hangs ends the process, with its error."""
    stop = Event()
    died: list[BaseException] = []
    threads = tuple(
        Loop(work.name, partial(_every, work, controller, stop), work.pause_s + work.limit_s) for work in works
    )
    loops = Loops(SystemTime(), stop, threads, died, watch)
    loops.start()
    loops.guard(notifier.watchdog, lambda: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        stop.set()
        notifier.stopping()
        controller.wakeups.close()
        loops.join(JOIN_S if died else None)
        controller.store.close()
    if died:
        raise died[0]


def _every(work: Work, controller: Controller, stop: Event, alive: Alive) -> None:
    """Again and again until stopped."""
    while not stop.wait(work.pause_s):
        work.do(controller)
        alive()
