# SPDX-License-Identifier: Apache-2.0
"""The course of a burn-in: threads that run for a time, what is told meanwhile, and what the next process needs to know
if this one is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread

from pydantic import Field

from agent.errors import BurnInFailed, HostError, TimeOver
from agent.host.doors import Host
from agent.model.burn_in import Verdict
from agent.model.frozen import Frozen, decode
from agent.model.job import Advance, Result

TICK_S = 1.0
KEEP_S = 10.0
END_S = 240.0
"""For one call: a disk that tries again and again has that long in the kernel (SCSI: 30 s, and five more times)."""
MOST_BEGINNINGS = 4
Worker = Callable[[Event], None]


class Kept(Frozen):
    """What outlives the process: how often it was begun, what each load has behind it, what is found already."""

    begun: int = 0
    done: dict[str, float] = Field(default_factory=dict, description="seconds by part; rounds by disk")
    found: dict[str, tuple[Verdict, ...]] = Field(default_factory=dict, description="by load, or by test")


def left_behind(threads: Sequence[Thread], wait_s: float) -> list[str]:
    """Who hangs in the kernel when the time is over: nothing ends such a thread, and it does nothing more by itself."""
    end_s = time.monotonic() + wait_s
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]


class Course:
    """One burn-in. Its record is best effort but for `begin`."""

    def __init__(self, host: Host, path: str, advance: Advance, end_s: float = END_S) -> None:
        self._host = host
        self._path = path
        self._advance = advance
        self._end_s = end_s
        self._kept = Kept()
        self.hanging: tuple[str, ...] = ()
        """The threads of the last load that have not come back: nothing ends them."""

    def begin(self) -> None:
        """Go on, or begin. Raises `BurnInFailed` for what ends its process again and again."""
        files = self._host.files
        doing = "going on with a burn-in"
        self._kept = decode(Kept, files.read_bytes(self._path), doing) if files.exists(self._path) else Kept()
        self._save(begun=self._kept.begun + 1)
        if self._kept.begun > MOST_BEGINNINGS:
            files.remove(self._path)
            told = f"the agent was ended {MOST_BEGINNINGS} times in the middle of it"
            raise BurnInFailed(doing, told, hint="Look in the machine's log for what ended it: memory, or a fault.")

    def found(self, what: str) -> tuple[Verdict, ...] | None:
        """By an earlier process."""
        return self._kept.found.get(what)

    def keep(self, what: str, findings: tuple[Verdict, ...]) -> None:
        """For a later one."""
        self._save(found={**self._kept.found, what: findings})

    def done(self, what: str) -> float:
        """What is behind it."""
        return self._kept.done.get(what, 0)

    def mark(self, what: str, amount: float) -> None:
        """So much is behind it."""
        self._save(done={**self._kept.done, what: amount})

    def end(self) -> None:
        """The record is of no more use."""
        self._host.files.remove(self._path)

    def told(self) -> Result:
        """That it was interrupted, if it was."""
        return {"interrupted": self._kept.begun - 1} if self._kept.begun > 1 else {}

    def tell(self, text: str) -> None:
        """For whoever looks. Raises `Recalled` when nobody wants it any more."""
        self._advance(0, None, text)

    def run(
        self, part: str, seconds: float, workers: Mapping[str, Worker], is_enough: Callable[[], bool] = lambda: True
    ) -> float:
        """Threads for that time, less what an earlier process did, and until it is enough; they end when their event is
        set, and each does its work once at least. Returns how long they ran in all; raises what one of them did.
        """
        clock, before_s = self._host.clock, self.done(part)
        ran_s = before_s
        began_s = kept_s = clock.monotonic_s()

        def until() -> bool:
            nonlocal ran_s, kept_s
            now_s = clock.monotonic_s()
            ran_s = before_s + now_s - began_s
            if now_s - kept_s >= KEEP_S:
                self.mark(part, ran_s)
                kept_s = now_s
            self.tell(f"{part}, {ran_s:.0f} of {seconds:.0f} s")
            return ran_s >= seconds and is_enough()

        never = Event()
        self.run_until(workers, until, lambda _: clock.wait(never, TICK_S))
        return ran_s

    def run_until(
        self,
        workers: Mapping[str, Worker],
        is_over: Callable[[], bool],
        pause: Callable[[Thread], object] = lambda thread: thread.join(TICK_S),
    ) -> None:
        """Threads until that is so, or all of them have ended. Raises what one of them did, even if its time
        is over. A `pause` is given a thread that is still at work.
        """
        self.hanging = ()
        stop, died, over = Event(), list[BaseException](), list[TimeOver]()
        threads = [
            Thread(target=self._guarded(work, stop, died), name=name, daemon=True) for name, work in workers.items()
        ]
        for thread in threads:
            thread.start()
        try:
            while not died and not is_over() and (busy := [thread for thread in threads if thread.is_alive()]):
                pause(busy[0])
        except TimeOver as error:
            over.append(error)  # what one of them did, even now, comes first
        finally:
            stop.set()
            self.hanging = tuple(left_behind(threads, self._end_s))
        if died or over:
            raise [*died, *over][0]
        if self.hanging:
            told = f"it does not come back, in {self._end_s:g} s: {', '.join(self.hanging)}"
            raise BurnInFailed("ending a load", told, hint="See the kernel's log for the device that does not answer.")

    @staticmethod
    def _guarded(work: Worker, stop: Event, died: list[BaseException]) -> Callable[[], None]:
        def run() -> None:
            try:
                work(stop)
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                died.append(error)

        return run

    def _save(self, **changes: object) -> None:
        """A record that cannot be written costs time after a death, and nothing else."""
        self._kept = self._kept.model_copy(update=changes)
        try:
            self._host.files.write(self._path, self._kept.model_dump_json().encode(), mode=0o600)
        except HostError:
            if self._kept.begun <= 1 and "begun" in changes:
                raise
