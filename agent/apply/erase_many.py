# SPDX-License-Identifier: Apache-2.0
"""Doing `EraseDisks`: disks side by side, each by itself. What one of them fails of is told with what came of the rest.

Threads write at most a buffer each, so that many disks need no more memory than a few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from agent.apply.erase import erase_disk
from agent.apply.metadata import wipe_disk
from agent.errors import AgentError, HostError
from agent.host.doors import Host
from agent.model.job import Advance, Result
from agent.model.plan import DiskMustBe, EraseDisk, EraseDisks, Wipe

TICK_S = 0.5
Hold = Callable[[DiskMustBe], None]


@dataclass
class Progress:
    """Of all disks: each thread writes its own place."""

    total: int
    done: dict[str, int] = field(default_factory=dict)

    def of(self, path: str, recalled: Event) -> Advance:
        """What one erasure tells. It ends at the next word once nobody wants any more."""

        def advance(done: int, total: int | None, limited_by: str | None = None, /) -> None:
            self.done[path] = done
            if recalled.is_set():
                raise HostError(f"erasing {path}", "given up, since the request was recalled")

        return advance


def erase_disks(host: Host, step: EraseDisks, advance: Advance, hold: Hold = lambda _: None) -> Result:
    """Each disk is `hold`'s to look at again when its turn comes: hours may have passed, and its path may by then lead
    to another. Returns what was done to each. Raises what one disk failed of, or `HostError` naming each that failed,
    and each that is erased all the same.
    """
    progress = Progress(total=sum(one.disk.size_bytes for one in step.erasures if isinstance(one, EraseDisk)))
    waiting, found = list(step.erasures), dict[str, Result | AgentError]()
    recalled, lock = Event(), Lock()

    def work() -> None:
        while not recalled.is_set():
            with lock:
                if not waiting:
                    return
                one = waiting.pop(0)
            found[one.disk.path] = outcome(host, one, progress.of(one.disk.path, recalled), hold)

    run_all([work] * step.at_once, recalled, lambda: advance(sum(progress.done.values()), progress.total))
    return summed(step, found)


def run_all(works: list[Callable[[], None]], recalled: Event, tell: Callable[[], None]) -> None:
    """In threads, and tell how far they are. What `tell` raises ends them; what ends a thread otherwise is raised."""
    died: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            died.append(error)

    threads = [
        Thread(target=guarded, args=(work,), name=f"erase-{place}", daemon=True) for place, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    try:
        while busy := [thread for thread in threads if thread.is_alive()]:
            tell()
            busy[0].join(TICK_S)
    except BaseException:
        recalled.set()
        raise
    finally:
        for thread in threads:
            thread.join()
    if died:
        raise died[0]


def outcome(host: Host, one: EraseDisk | Wipe, advance: Advance, hold: Hold) -> Result | AgentError:
    """What came of one disk."""
    try:
        hold(DiskMustBe(disk=one.disk))
        if isinstance(one, EraseDisk):
            return erase_disk(host, one, advance)
        wipe_disk(host, one)
    except AgentError as error:
        return error
    who = one.disk.serial or one.disk.wwn or one.disk.path
    return {f"wiped {who}": sum(area.length_bytes for area in one.areas)}


def summed(step: EraseDisks, found: dict[str, Result | AgentError]) -> Result:
    """Of all. Raises `AgentError`."""
    result: Result = {}
    failures: list[AgentError] = []
    for one in step.erasures:
        match found[one.disk.path]:
            case AgentError() as error:
                failures.append(error)
            case done:
                result |= done
    if not failures:
        return result
    good = ", ".join(f"{fact} {value}" for fact, value in result.items()) or "none"
    told = f"{'; '.join(map(str, failures))} (of the others: {good})"
    raise HostError("erasing the disks", told, hint=failures[0].hint) from failures[0]
