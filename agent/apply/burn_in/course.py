# SPDX-License-Identifier: Apache-2.0
"""The course of a burn-in: threads that run for a time, what is told meanwhile, and what the next process needs to know
if this one is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Thread

from pydantic import Field

from agent.errors import BurnInFailed, HostError
from agent.host.doors import Host
from agent.model.burn_in import Part, Verdict
from agent.model.frozen import Frozen, decode
from agent.model.job import Advance, Result

TICK_S = 1.0
KEEP_S = 10.0
MOST_BEGINNINGS = 4
Worker = Callable[[Event], None]


class Kept(Frozen):
    """What outlives the process: how often it was begun, what each load has behind it, what is found already."""

    begun: int = 0
    done: dict[str, float] = Field(default_factory=dict, description="seconds by part; rounds by disk")
    found: dict[str, Verdict] = Field(default_factory=dict)


class Course:
    """One burn-in. Its record is best effort but for `begin`."""

    def __init__(self, host: Host, path: str, advance: Advance) -> None:
        self._host = host
        self._path = path
        self._advance = advance
        self._kept = Kept()

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

    def found(self, part: Part) -> Verdict | None:
        """By an earlier process."""
        return self._kept.found.get(part)

    def keep(self, finding: Verdict) -> None:
        """For a later one."""
        self._save(found={**self._kept.found, finding.part: finding})

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

    def run(self, part: Part, seconds: float, workers: Mapping[str, Worker]) -> float:
        """Threads for that time, less what an earlier process did; they end when their event is set, and each does its
        work once at least. Returns how long they ran in all; raises what one of them did.
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
            return ran_s >= seconds

        never = Event()
        self.run_until(workers, until, lambda _: clock.wait(never, TICK_S))
        return ran_s

    def run_until(
        self,
        workers: Mapping[str, Worker],
        is_over: Callable[[], bool],
        pause: Callable[[Thread], object] = lambda thread: thread.join(TICK_S),
    ) -> None:
        """Threads until that is so, or all of them have ended. Raises what one of them did. A `pause` is given a thread
        that is still at work.
        """
        stop, died = Event(), list[BaseException]()
        threads = [
            Thread(target=self._guarded(work, stop, died), name=name, daemon=True) for name, work in workers.items()
        ]
        for thread in threads:
            thread.start()
        try:
            while not died and not is_over() and (busy := [thread for thread in threads if thread.is_alive()]):
                pause(busy[0])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if died:
            raise died[0]

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
