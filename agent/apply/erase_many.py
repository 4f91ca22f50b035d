# SPDX-License-Identifier: Apache-2.0
"""Doing `EraseDisks`: disks side by side, each by itself. What one of them fails of is told with what came of the rest.

Threads write at most a buffer each, so that many disks need no more memory than a few.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from agent.apply.erasing import erase
from agent.apply.erasing.certify import RUNTIME, certificate
from agent.apply.erasing.paths import by_another_path, is_same
from agent.apply.metadata import wipe_disk
from agent.errors import AgentError, EraseUnproven, HostError
from agent.host.doors import Host
from agent.model.disk import DiskIdentity
from agent.model.erasing import Erasure, Means, Outcome
from agent.model.erasing.certificate import IN_RESULT
from agent.model.job import Advance, Result
from agent.model.plan import DiskMustBe, EraseDisk, EraseDisks, Wipe, by_disk

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


def erase_disks(
    host: Host, step: EraseDisks, advance: Advance, hold: Hold = lambda _: None, directory: str = RUNTIME
) -> Result:
    """Each disk is `hold`'s to look at again when its turn comes: hours may have passed, and its path may by then lead
    to another. Returns what was done to each, and the certificate. Raises what one disk failed of, or `HostError`
    naming each that failed, and each that is erased all the same.
    """
    progress = Progress(total=sum(one.disk.size_bytes for one in step.erasures if isinstance(one, EraseDisk)))
    waiting, found = by_disk(step.erasures), dict[str, Erasure | AgentError]()
    recalled, lock = Event(), Lock()

    def work() -> None:
        while not recalled.is_set():
            with lock:
                if not waiting:
                    return
                paths = waiting.pop(0)
            first, same = paths[0], [one for one in paths[1:] if is_same(host, paths[0], one, hold)]
            for one in paths:
                if one not in same:
                    found[one.disk.path] = outcome(host, one, progress.of(one.disk.path, recalled), hold)
            for one in same:
                progress.done[one.disk.path] = one.disk.size_bytes
                found[one.disk.path] = by_another_path(found[first.disk.path], one.disk)

    run_all([work] * step.at_once, recalled, lambda: advance(sum(progress.done.values()), progress.total))
    return summed(host, step, found, directory)


def run_all(works: list[Callable[[], None]], recalled: Event, tell: Callable[[], None]) -> None:
    """In threads, and tell how far they are. What `tell` raises ends them; what ends a thread otherwise is raised.

    A drive that erases itself may be waited for for two days yet, recalled or not: it has a password of ours, which the
    end takes off. Until then whoever watches us hears that we live.
    """
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
        for thread in threads:
            while thread.is_alive():
                with suppress(Exception):  # it has said already that nobody wants any more
                    tell()
                thread.join(TICK_S)
        raise
    if died:
        raise died[0]


def outcome(host: Host, one: EraseDisk | Wipe, advance: Advance, hold: Hold) -> Erasure | AgentError:
    """What came of one disk; an error is of what is not the disk's fault, and nothing was done to it."""
    try:
        hold(DiskMustBe(disk=one.disk))
        return erase(host, one, advance, hold) if isinstance(one, EraseDisk) else wiped(host, one)
    except AgentError as error:
        return error


def wiped(host: Host, one: Wipe) -> Erasure:
    """What says what it holds, which is less than any erasure. Raises `PreconditionError`."""
    began_at = host.clock.now()
    ended: tuple[Outcome, str]
    try:
        wipe_disk(host, one)
        ended = "erased", f"{sum(area.length_bytes for area in one.areas)} bytes, which read as zeroes"
    except HostError as error:
        ended = "failed", str(error)
    return Erasure(
        path=one.disk.path,
        serial=one.disk.serial,
        wwn=one.disk.wwn,
        size_bytes=one.disk.size_bytes,
        means=Means.METADATA,
        outcome=ended[0],
        evidence=ended[1],
        began_at=began_at,
        ended_at=host.clock.now(),
    )


def unwritten(host: Host, disk: DiskIdentity) -> Erasure:
    """One to which nothing was done."""
    now = host.clock.now()
    return Erasure(
        path=disk.path,
        serial=disk.serial,
        wwn=disk.wwn,
        size_bytes=disk.size_bytes,
        outcome="failed",
        evidence="the kernel says that it is read-only: nothing was written to it",
        began_at=now,
        ended_at=now,
    )


def summed(host: Host, step: EraseDisks, found: dict[str, Erasure | AgentError], directory: str) -> Result:
    """Of all, with their certificate. Raises what one disk failed of, or `HostError` naming each; that has the
    certificate, too.
    """
    ends = [found[one.disk.path] for one in step.erasures]
    done = [one for one in ends if isinstance(one, Erasure)] + [unwritten(host, one) for one in step.unwritable]
    bad = [one for one in done if one.outcome != "erased"]
    errors: list[AgentError] = [one for one in ends if isinstance(one, AgentError)]
    kept_back = {one.who: one for one in bad} if step.quarantine and len(bad) < len(done) else {}
    if any(one.is_confusable(done) for one in bad):
        kept_back = {}  # one that has no name of its own could not be told from others tomorrow
    result: Result = {}
    for one in done:
        result |= told(one)
    names = tuple(kept_back)
    result |= {f"quarantined {name}": kept_back[name].evidence for name in names}
    try:
        result[IN_RESULT] = certificate(host, step, tuple(done), names, directory).model_dump_json()
    except AgentError as error:  # what came of each is told, with or without a signature
        errors.append(error)
    failures = [*errors, *(() if kept_back else map(unproven, bad))]
    if not failures:
        return result
    raise failure(failures, [one for one in done if one.outcome == "erased"], result)


def told(one: Erasure) -> Result:
    """What a result says of a disk."""
    if one.outcome != "erased":
        return {f"{one.outcome} {one.who}": one.evidence}
    if one.means is Means.METADATA:
        return {f"wiped {one.who}": one.evidence}
    return {
        f"erased {one.who}": one.size_bytes,
        f"means {one.who}": str(one.means),
        f"samples {one.who}": one.samples.read,
    }


def unproven(one: Erasure) -> AgentError:
    """What a disk that is not erased is called as an error."""
    return EraseUnproven(f"erasing {one.path} ({one.who})", f"{one.outcome}: {one.evidence}")


def failure(failures: list[AgentError], good: list[Erasure], result: Result) -> AgentError:
    """Of all that failed, one error, which has the result."""
    if len(failures) == 1 and not good:
        error = failures[0]
    else:
        others = ", ".join(f"{one.who} erased by {one.means}" for one in good) or "none"
        words = f"{'; '.join(map(str, failures))} (of the others: {others})"
        error = HostError("erasing the disks", words, hint=failures[0].hint)
        error.__cause__ = failures[0]
    error.found = result
    return error
