# SPDX-License-Identifier: Apache-2.0
"""Tests of disks by reading them, past the page cache, all side by side. Nothing is written.

What a disk can do is not known to us, but siblings of one model and size can all do the same: one that falls behind
them is told. They are read at the same time, so that what they share slows all of them alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from threading import Event

from agent.apply.burn_in.disk import thread_of
from agent.apply.validation.disks import no_disks
from agent.apply.validation.trials import Bench, Figures, Verdicts, degraded, failed, named, passed, skipped
from agent.errors import AgentError, DeviceError, TimeOver
from agent.host.doors import BlockDevice, Clock
from agent.host.memory import ALIGNMENT_BYTES, aligned
from agent.model.burn_in import Verdict
from agent.model.disk import DiskIdentity
from agent.model.fact import Unknown, known
from agent.model.validation import Trial, codes

BLOCK_BYTES = 1024 * 1024
SURFACE_BYTES = 4 * 1024 * 1024
ZONES = (0.0, 0.5, 1.0)
"""The beginning, the middle, the end: a disk that turns is half as fast at its end."""
MOST_FAULTS = 16
HANGS = "a read does not come back"
STILL_S = 600.0
"""A disk that tries again and again has 180 s in the kernel for a command (SCSI: 30 s, and five more times)."""


@dataclass
class Tally:
    """Of one disk."""

    disk: DiskIdentity
    read_bytes: int = 0
    read_s: float = 0.0
    jumps: int = 0
    jumped_s: float = 0.0
    longest_s: float = 0.0
    done_bytes: int = 0
    is_open: bool = False
    moved_s: float = 0.0
    is_done: bool = False
    """To its end, not only until the time was over."""
    has_ended: bool = False
    hangs: bool = False
    faults: list[AgentError] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Bytes a second, in order."""
        return self.read_bytes / self.read_s if self.read_s else 0.0

    @property
    def pace(self) -> float:
        """Reads a second, at random."""
        return self.jumps / self.jumped_s if self.jumped_s else 0.0

    def figures(self) -> Figures:
        """For people."""
        return {
            "MB/s": round(self.rate / 10**6),
            "random reads/s": round(self.pace),
            "longest ms": round(self.longest_s * 1000),
        }


Work = Callable[[BlockDevice, Tally, Event], None]


def read(bench: Bench, trial: Trial, still_s: float = STILL_S) -> Verdicts:
    """In order in three places, then at random all over it."""
    tallies, clock, seconds = [Tally(disk) for disk in bench.step.disks], bench.host.clock, trial.settings["seconds"]

    def both(device: BlockDevice, tally: Tally, stop: Event) -> None:
        in_order(device, tally, clock, seconds, stop)
        at_random(device, tally, clock, seconds, stop)

    def told() -> str:
        now_s = sum(one.read_s + one.jumped_s for one in tallies) / max(len(tallies), 1)
        return f"{now_s:.0f} of {trial.seconds} s, {len(tallies)} disks"

    side_by_side(bench, tallies, both, told, still_s)
    siblings = kinds_of(bench)
    return tuple(judged(trial, one, tallies, siblings) for one in tallies) or no_disks(trial)


def side_by_side(bench: Bench, tallies: list[Tally], work: Work, told: Callable[[], str], still_s: float) -> None:
    """All disks, until each has ended, the time is over, or none of those left has moved for so long. What each came to
    is in its tally: one that hangs takes nothing from its siblings. Raises `Recalled`.
    """
    clock = bench.host.clock
    began_s = clock.monotonic_s()

    def worker(tally: Tally) -> Callable[[Event], None]:
        def working(stop: Event) -> None:
            try:
                with bench.host.block.open_read(tally.disk.path) as device:
                    must_be_whole(tally.disk, device)
                    tally.is_open = True
                    work(device, tally, stop)
                    tally.is_done = not stop.is_set()
            except AgentError as error:
                tally.faults.append(error)
            finally:
                tally.has_ended = True

        return working

    def is_over() -> bool:
        bench.course.tell(told())
        since_s = clock.monotonic_s() - still_s
        if all(one.has_ended or max(one.moved_s, began_s) < since_s for one in tallies):
            raise TimeOver("reading disks", f"nothing moved for {still_s:.0f} s")
        return False

    with suppress(TimeOver):
        bench.course.run_until({thread_of(one.disk): worker(one) for one in tallies}, is_over)
    for one in tallies:
        one.hangs = thread_of(one.disk) in bench.course.hanging


def must_be_whole(disk: DiskIdentity, device: BlockDevice) -> None:
    """Raises `DeviceError` where another one is behind that name now, or it is empty."""
    if not disk.size_bytes or device.size_bytes != disk.size_bytes:
        raise DeviceError(f"reading {disk}", f"now it has {device.size_bytes} bytes")


def in_order(device: BlockDevice, tally: Tally, clock: Clock, seconds: float, stop: Event) -> None:
    """In each zone a third of the time, a block at least. Raises `DeviceError`."""
    room = aligned(BLOCK_BYTES)
    for zone in ZONES:
        began_s = clock.monotonic_s()
        at = int(zone * max(device.size_bytes - BLOCK_BYTES, 0)) // ALIGNMENT_BYTES * ALIGNMENT_BYTES
        step = -BLOCK_BYTES if zone == 1.0 else BLOCK_BYTES
        while not stop.is_set():
            view = room[: min(BLOCK_BYTES, device.size_bytes - at)]
            tally.read_s += timed(device, at, view, tally, clock)
            tally.read_bytes += len(view)
            at += step
            if clock.monotonic_s() - began_s >= seconds / len(ZONES) or not 0 <= at < device.size_bytes:
                break


def at_random(device: BlockDevice, tally: Tally, clock: Clock, seconds: float, stop: Event) -> None:
    """One page at a time, one after the other; always at the same places, and no more than there are. Raises
    `DeviceError`.
    """
    places = random.Random(device.size_bytes)  # noqa: S311 - places to read at, and no secret
    view, pages = aligned(ALIGNMENT_BYTES), device.size_bytes // ALIGNMENT_BYTES
    began_s = clock.monotonic_s()
    while tally.jumps < pages and not stop.is_set():
        tally.jumped_s += timed(device, places.randrange(pages) * ALIGNMENT_BYTES, view, tally, clock)
        tally.jumps += 1
        if clock.monotonic_s() - began_s >= seconds:
            return


def timed(device: BlockDevice, at: int, view: memoryview, tally: Tally, clock: Clock) -> float:
    """How long a read took. Raises `DeviceError`."""
    began_s = tally.moved_s = clock.monotonic_s()
    device.read_into(at, view)
    tally.moved_s = clock.monotonic_s()
    took_s = tally.moved_s - began_s
    tally.longest_s = max(tally.longest_s, took_s)
    return took_s


def kinds_of(bench: Bench) -> Mapping[str, object]:
    """By path: what makes disks siblings."""
    found = () if isinstance(bench.hardware.disks, Unknown) else bench.hardware.disks
    return {one.path: (known(one.vendor), known(one.model), one.size_bytes) for one in found if known(one.model)}


def judged(trial: Trial, one: Tally, every: list[Tally], kinds: Mapping[str, object]) -> Verdict:
    """A disk among its siblings."""
    who, figures = named(one.disk), one.figures()
    if one.faults:
        return failed(trial, code_of(one), str(one.faults[0]), who, figures if one.is_open else {})
    if one.hangs:
        return failed(trial, codes.HANGS, HANGS, who, figures)
    if not one.read_bytes or not one.jumps:
        return skipped(trial, codes.TIME_OVER, "it was not read in both ways", who, figures)
    kind = kinds.get(one.disk.path)
    siblings = [
        each for each in every if kind and each is not one and kinds.get(each.disk.path) == kind and not each.faults
    ]
    slow = [*slower(one.rate, [each.rate for each in siblings], trial.settings["least"], "MB/s", 10**6)]
    slow += slower(one.pace, [each.pace for each in siblings], trial.settings["least"], "random reads/s", 1)
    if slow:
        return degraded(trial, codes.DISK_SLOW, "; ".join(slow), who, {**figures, "siblings": len(siblings)})
    if one.longest_s * 1000 > trial.settings["stall"]:
        return degraded(trial, codes.DISK_STALLS, f"a read took {one.longest_s * 1000:.0f} ms", who, figures)
    if not one.is_done:
        return skipped(trial, codes.TIME_OVER, "it was not read for as long as it was to be", who, figures)
    return passed(trial, who, figures | ({"siblings": len(siblings)} if siblings else {}))


def code_of(one: Tally) -> str:
    """What could not be opened was not read: that may be nobody's fault but of who asks."""
    return codes.READ_ERROR if one.is_open else one.faults[0].code


def slower(own: float, others: list[float], least_percent: int, unit: str, scale: float) -> list[str]:
    """Whether it falls behind the median of the others, in words."""
    middle = median(others) if others else 0.0
    if own >= middle * least_percent / 100:
        return []
    return [f"{own / scale:.0f} {unit}; the median of its {len(others)} siblings is {middle / scale:.0f}"]


def surface(bench: Bench, trial: Trial, still_s: float = STILL_S) -> Verdicts:
    """Every byte of every disk. After a read that failed the next block is tried, a few times."""
    tallies = [Tally(disk) for disk in bench.step.disks]

    def told() -> str:
        done, total = sum(one.done_bytes for one in tallies), sum(one.disk.size_bytes for one in tallies)
        return f"{100 * done // max(total, 1)} % of {total / 10**9:.0f} GB, {len(tallies)} disks"

    side_by_side(
        bench, tallies, lambda device, tally, stop: all_of(device, tally, bench.host.clock, stop), told, still_s
    )
    return tuple(judged_surface(trial, one) for one in tallies) or no_disks(trial)


def all_of(device: BlockDevice, tally: Tally, clock: Clock, stop: Event) -> None:
    """From the first byte to the last."""
    room = aligned(SURFACE_BYTES)
    for at in range(0, device.size_bytes, SURFACE_BYTES):
        if stop.is_set() or len(tally.faults) >= MOST_FAULTS:
            return
        view = room[: min(SURFACE_BYTES, device.size_bytes - at)]
        try:
            tally.read_s += timed(device, at, view, tally, clock)
            tally.read_bytes += len(view)
        except DeviceError as error:
            tally.faults.append(error)
        tally.done_bytes = at + len(view)


def judged_surface(trial: Trial, one: Tally) -> Verdict:
    """A disk. What was not read to its end is not passed."""
    who = named(one.disk)
    figures: Figures = {
        "GB read": f"{one.read_bytes / 10**9:.2f}",
        "MB/s": round(one.rate / 10**6),
        "longest ms": round(one.longest_s * 1000),
    }
    if one.faults:
        more = f" (and {len(one.faults) - 1} more)" if len(one.faults) > 1 else ""
        return failed(trial, code_of(one), f"{one.faults[0]}{more}", who, {**figures, "faults": len(one.faults)})
    if one.hangs:
        return failed(trial, codes.HANGS, HANGS, who, figures)
    if one.read_bytes != one.disk.size_bytes:
        return skipped(trial, codes.TIME_OVER, "it was not read to its end", who, figures)
    return passed(trial, who, figures)
