# SPDX-License-Identifier: Apache-2.0
"""Loading disks: noise written to every block of each and read back, all disks side by side, past the page cache.

What is on them is destroyed. A disk that fails ends by itself; the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from agent.apply.burn_in.course import KEEP_S, Course
from agent.errors import AgentError, BurnInFailed, DeviceError
from agent.host.doors import BlockDevice, Clock, Host
from agent.host.memory import ALIGNMENT_BYTES, aligned, is_same
from agent.model.burn_in import DiskLoad, Verdict
from agent.model.disk import DiskIdentity
from agent.model.job import NO_ANSWER, SILENT_S

BLOCK_BYTES = 4 * 1024 * 1024
DOING = "loading the disks"


@dataclass
class Tally:
    """Of one disk."""

    disk: DiskIdentity
    loops: int = 0
    done_bytes: int = 0
    """Written and read, in this process."""
    compared_bytes: int = 0
    fault: AgentError | None = None
    asked_s: float | None = None
    """Since when it owes an answer."""
    longest_s: float = 0.0
    """That it took for one."""

    @contextmanager
    def asked(self, clock: Clock) -> Iterator[None]:
        """While it has an order."""
        self.asked_s = began_s = clock.monotonic_s()
        try:
            yield
        finally:
            self.asked_s, self.longest_s = None, max(self.longest_s, clock.monotonic_s() - began_s)


def burn_disks(host: Host, load: DiskLoad, disks: tuple[DiskIdentity, ...], course: Course) -> Verdict:
    """Raises `BurnInFailed`, which tells what came of every disk."""
    if not disks:
        return Verdict(part="disk", state="skipped", told="no disk may be written to")
    tallies = begun(disks, course)
    load_disks(host, load, tallies, course)
    return verdict(tallies)


def begun(disks: tuple[DiskIdentity, ...], course: Course) -> list[Tally]:
    """What each of them came to in an earlier process."""
    return [Tally(disk, loops=int(course.done(disk.path))) for disk in disks]


def thread_of(disk: DiskIdentity) -> str:
    """The name of what works on it."""
    return f"disk-{disk.path}"


def load_disks(host: Host, load: DiskLoad, tallies: list[Tally], course: Course) -> None:
    """All of them side by side. What each has come to is in its tally, however this ends."""
    timer = Timer(host.clock, max(1.0, load.seconds - course.done("disk")) if load.seconds else 0)
    kept_s = course.done("disk")

    def is_over() -> bool:
        for one in tallies:
            if one.loops != course.done(one.disk.path):
                course.mark(one.disk.path, one.loops)
        if load.seconds and kept_s + timer.ran_s() - course.done("disk") >= KEEP_S:
            course.mark("disk", kept_s + timer.ran_s())
        done, total = sum(one.done_bytes for one in tallies), sum(2 * one.disk.size_bytes for one in tallies)
        told = timer.told() if load.seconds else f"disk, {done / max(total, 1):.2f} loops of {load.loops}"
        course.tell("; ".join((told, *silent(tallies, host.clock))))
        return False

    course.run_until({thread_of(one.disk): worker(host, load, one, timer) for one in tallies}, is_over)


def silent(tallies: list[Tally], clock: Clock) -> list[str]:
    """Those that have owed an answer for long, in words. That is no fault yet: the kernel says when a drive is lost."""
    waits = ((one, clock.monotonic_s() - since_s) for one in tallies if (since_s := one.asked_s) is not None)
    return [f"{one.disk}: {NO_ANSWER} {waited_s:.0f} s" for one, waited_s in waits if waited_s > SILENT_S]


class Timer:
    """How much of a time limit is left; 0 is no limit."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self.clock = clock
        self._limit_s = limit_s
        self._began_s = clock.monotonic_s()

    def ran_s(self) -> float:
        """Since it was made."""
        return self.clock.monotonic_s() - self._began_s

    def end_s(self) -> float | None:
        """By the clock; `None` without a limit."""
        return self._began_s + self._limit_s if self._limit_s else None

    def half_s(self) -> float | None:
        """When half of what is left now will be over: reading back takes as long as writing did."""
        end_s = self.end_s()
        return None if end_s is None else (self.clock.monotonic_s() + end_s) / 2

    def told(self) -> str:
        """How far it is."""
        return f"disk, {self.ran_s():.0f} of {self._limit_s:.0f} s"

    def is_after(self, end_s: float | None) -> bool:
        """Whether it is later than that."""
        return end_s is not None and self.clock.monotonic_s() >= end_s


def worker(host: Host, load: DiskLoad, tally: Tally, timer: Timer) -> Callable[[Event], None]:
    """One disk: loop after loop. What fails is written down."""

    def work(stop: Event) -> None:
        try:
            with host.block.open_exclusive(tally.disk.path) as device:
                while not stop.is_set() and (load.seconds or tally.loops < load.loops):
                    one_loop(device, tally, timer, stop)
                    tally.loops += 1
                    if timer.is_after(timer.end_s()):
                        break
        except AgentError as error:
            tally.fault = error

    return work


def one_loop(device: BlockDevice, tally: Tally, timer: Timer, stop: Event) -> None:
    """Write to the end, or for half of the time; then compare all that was written. Raises `DeviceError`."""
    size = tally.disk.size_bytes
    if not size or device.size_bytes != size:
        raise DeviceError(f"loading {tally.disk}", f"now it has {device.size_bytes} bytes")
    noise = noise_of(tally.loops)
    half_s, written = timer.half_s(), 0
    while written < size and not stop.is_set() and (not written or not timer.is_after(half_s)):
        length = min(BLOCK_BYTES, size - written)
        with tally.asked(timer.clock):
            device.write(written, of_block(noise, written)[:length])
        written += length
        tally.done_bytes += length
    with tally.asked(timer.clock):
        device.flush()
    room = aligned(BLOCK_BYTES)
    for at in range(0, written, BLOCK_BYTES):
        if stop.is_set():
            return
        length = min(BLOCK_BYTES, written - at)
        with tally.asked(timer.clock):
            device.read_into(at, room[:length])
        must_be(tally.disk, room[:length], of_block(noise, at)[:length], at)
        tally.done_bytes += length
        tally.compared_bytes += length


def noise_of(loop: int) -> memoryview:
    """Another one in each loop, twice a block, so that it can be shifted; nothing boots from it."""
    noise = bytearray(hashlib.shake_128(b"disk %d" % loop).digest(BLOCK_BYTES))
    noise[510:512] = bytes(2)
    pattern = aligned(2 * BLOCK_BYTES)
    pattern[:BLOCK_BYTES] = pattern[BLOCK_BYTES:] = bytes(noise)
    return pattern


def of_block(pattern: memoryview, at: int) -> memoryview:
    """Another piece of it for each block, aligned as direct I/O wants it."""
    shift = at // BLOCK_BYTES * ALIGNMENT_BYTES % BLOCK_BYTES
    return pattern[shift : shift + BLOCK_BYTES]


def must_be(disk: DiskIdentity, found: memoryview, written: memoryview, at: int) -> None:
    """Raises `DeviceError` with the first byte that differs."""
    if is_same(found, written):
        return
    place = next((here for here in range(len(found)) if found[here] != written[here]), 0)
    raise DeviceError(f"reading {disk} back", f"byte {at + place} is not what was written")


def verdict(tallies: list[Tally]) -> Verdict:
    """Of all disks. Raises `BurnInFailed`."""
    figures: dict[str, str | int] = {}
    faults: list[str] = []
    for one in tallies:
        who = one.disk.serial or one.disk.wwn or one.disk.path
        figures[who] = f"{one.loops} loops, {one.compared_bytes / 10**9:.2f} GB compared"
        if one.fault is not None:
            faults.append(str(one.fault))
        elif not one.compared_bytes and not one.loops:
            faults.append(f"{one.disk}: nothing was compared")
    if faults:
        good = ", ".join(f"{who} {told}" for who, told in figures.items())
        raise BurnInFailed(DOING, f"{'; '.join(faults)} (of all: {good})")
    return Verdict(part="disk", state="passed", figures=figures)
