# SPDX-License-Identifier: Apache-2.0
"""Loops, each in a thread of its own, and the watch over them: one that dies or hangs ends the process.

A loop says that it is alive once a turn. Where it does not, or has come to an end, the process ends, systemd starts it
again, and the journal, or the database, knows the rest. Who looks at them is the main thread; where that has something
else to do, a thread that is a guard, and whom systemd watches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from agent.life.watch import Alive, Time, Watch, doom
from agent.model.fault import Fault
from agent.program.log import Logger

LOOK_S = 0.5

log = Logger("loops")


@dataclass(frozen=True)
class Loop:
    """`run` is given what it has to call at least every `limit_s`, for as long as it goes on. What hangs, or dies,
    and is not vital is told, and ends nothing: a process whose end would cost more than what it lacks.
    """

    name: str
    run: Callable[[Alive], object]
    limit_s: float
    is_vital: bool = True

    @property
    def called(self) -> str:
        """In a sentence."""
        return f"the {self.name} loop"


class Loops:
    """From their start to their end."""

    def __init__(
        self,
        time: Time,
        stop: Event,
        loops: Sequence[Loop],
        died: list[BaseException] | None = None,
        watch: Watch | None = None,
    ) -> None:
        """A loop that returns before `stop` is set is as dead as one that raises. `died`: of other threads, too;
        `watch`: over others, too."""
        self._time = time
        self._stop = stop
        self._loops = loops
        self.watch = watch or Watch(time)
        self._lesser = Watch(time)
        """Over those that are not vital."""
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

    def guard(self, say: Callable[[], None], end: Callable[[], None]) -> None:
        """From now on a thread looks at them, and says, while all live, that this process does; when one does not, it
        has the process ended. If it dies or hangs itself nobody says any more that this process lives."""

        def look() -> None:
            try:
                while not (self._stop.wait(LOOK_S) or self.fault()):
                    say()
            except BaseException as error:  # noqa: BLE001 - a guard that dies is as bad as a loop
                self._died.append(error)
            if self._died:
                log.error("ending", error=str(self._died[0]))
                end()

        Thread(target=look, name="guard", daemon=True).start()

    def check(self) -> None:
        """Raises what ended one of them, or `LoopStuck` for one that is silent."""
        if (fault := self.fault()) is not None:
            raise fault

    def fault(self) -> BaseException | None:
        """What ended one of them. If one is silent, the process is bound to end from now on."""
        stuck = self.watch.silent()
        if stuck and not self._died:
            doom()
            self._died.extend(stuck)
        return self._died[0] if self._died else None

    @property
    def problems(self) -> tuple[Fault, ...]:
        """What hangs, or has died, and ends nothing."""
        dead = tuple(self._lacking.values())
        return (*dead, *map(Fault.of, self._lesser.silent()))

    def join(self, within_s: float | None) -> None:
        """All together are given so long; None: however long they take."""
        ends_s = None if within_s is None else self._time.monotonic_s() + within_s
        for thread in self._threads:
            thread.join(None if ends_s is None else max(0.0, ends_s - self._time.monotonic_s()))

    def _hear(self, loop: Loop) -> None:
        (self.watch if loop.is_vital else self._lesser).hear(loop.called, loop.limit_s)

    def _run(self, loop: Loop) -> None:
        try:
            loop.run(lambda: self._hear(loop))
            if not self._stop.is_set():
                told = "it came to an end, and nobody had asked for that"
                raise self.watch.stuck(f"watching {loop.called}", told)
        except BaseException as error:
            if loop.is_vital:
                self._died.append(error)
                return
            log.exception("a loop that is not vital has ended", loop=loop.name)
            fault = Fault.of(error)
            told = f"the {loop.name} loop has ended: {fault.message}"
            self._lacking[loop.name] = fault.model_copy(update={"message": told})
            self._lesser.let_go(loop.called)
