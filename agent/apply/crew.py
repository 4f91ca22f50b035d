# SPDX-License-Identifier: Apache-2.0
"""Threads that do one work together: the first that fails ends all, and its error is the work's error.

What threads hand each other goes through lanes: bounded, and closed when the work ends, so nobody waits for ever.
The thread that called `run` keeps time: it tells how far the work is, and ends it when that is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Condition, Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

TICK_S = 0.2


class Stopped(BaseException):
    """The work ended elsewhere. It passes through every handler of errors, and is nobody's error."""


class Crew:
    """One work, once. `stop` is set when it ends early: whoever waits for anything waits for that, too."""

    def __init__(self) -> None:
        self.stop = Event()
        self._lock = Lock()
        self._conditions: list[Condition] = []
        self._changed = self.condition()
        self._failure: BaseException | None = None

    def run(self, duties: Mapping[str, Callable[[], None]], tick: Callable[[], None] = lambda: None) -> None:
        """Do these duties, one thread each (the key is its name), to the end of all; `tick` is called every 0.2 s and
        at the end. Raises the first error of any, once every thread has ended.
        """
        threads = [Thread(target=self._guarded, args=(duty,), name=name) for name, duty in duties.items()]
        for thread in threads:
            self._guarded(thread.start)  # what cannot be started ends those that were
        for thread in threads:
            while thread.is_alive():
                self._guarded(partial(self._keep_time, thread, tick))
        if self._failure is not None:
            raise self._failure
        tick()

    def check(self) -> None:
        """Raises `Stopped` if the work ended early. For loops that wait for nothing."""
        if self.stop.is_set():
            raise Stopped

    def condition(self) -> Condition:
        """One more thing to wait for, with the crew's own lock: who waits for it is woken when the work ends."""
        made = Condition(self._lock)
        self._conditions.append(made)
        return made

    @contextmanager
    def when(self, holds: Callable[[], bool]) -> Iterator[None]:
        """Wait until it holds, then change something while nobody else does; who waits looks again. Or `Stopped`."""
        with self._changed:
            self._changed.wait_for(lambda: self.stop.is_set() or holds())
            self.check()
            yield
            self._changed.notify_all()

    def _keep_time(self, thread: Thread, tick: Callable[[], None]) -> None:
        """A key that interrupts the wait (KeyboardInterrupt) ends the work as any failure does: no thread is left."""
        thread.join(TICK_S)
        if not self.stop.is_set():
            tick()

    def _guarded(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - `run` raises it in the thread that asked for the work
            with self._lock:
                self._failure = self._failure or error
                self.stop.set()
                for condition in self._conditions:
                    condition.notify_all()


class Lane(Generic[T]):
    """First in, first out, between the threads of a crew; at most `size` things, 0 for no limit.

    A thing that comes or goes wakes one thread, and only one that waits for that: a gigabyte is ten thousand of them.
    """

    def __init__(self, crew: Crew, size: int = 0) -> None:
        self._crew = crew
        self._size = size
        self._things: deque[T] = deque()
        self._came, self._went = crew.condition(), crew.condition()

    def __len__(self) -> int:
        return len(self._things)

    def put(self, thing: T) -> None:
        """Wait for room. Raises `Stopped`."""
        with self._went:
            while self._size and len(self._things) >= self._size and not self._crew.stop.is_set():
                self._went.wait()
            self._crew.check()
            self._things.append(thing)
            self._came.notify()

    def get(self) -> T:
        """Wait for the next. Raises `Stopped`."""
        with self._came:
            while not self._things and not self._crew.stop.is_set():
                self._came.wait()
            self._crew.check()
            if self._size:
                self._went.notify()
            return self._things.popleft()
