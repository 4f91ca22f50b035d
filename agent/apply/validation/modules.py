# SPDX-License-Identifier: Apache-2.0
"""Tests of memory: what its controllers have counted, patterns in what is free, and how much it can move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from agent.apply.burn_in.memory import BLOCK_BYTES, RESERVE_BYTES, available, burn_memory
from agent.apply.validation.trials import Bench, Figures, Verdicts, degraded, failed, of_load, passed, skipped
from agent.errors import BurnInFailed, PreconditionError
from agent.host.memory import aligned, copy
from agent.model.burn_in import MemoryLoad
from agent.model.fact import Unknown
from agent.model.hardware.sensor import MemoryErrors
from agent.model.validation import Trial, codes

ROOM_BYTES = 32 * BLOCK_BYTES
"""Of each thread: half is copied over the other half. More than a processor's share of any cache."""


def errors(bench: Bench, trial: Trial) -> Verdicts:
    """Since the machine was booted. Each module that had any is named, where its controller knows it."""
    found = bench.hardware.memory_errors
    if isinstance(found, Unknown):
        return (skipped(trial, codes.UNKNOWN, found.unknown),)
    if not found:
        return (skipped(trial, codes.NOT_APPLICABLE, "no memory controller counts errors: no ECC, or no driver"),)
    corrected, uncorrected = sum(one.correctable for one in found), sum(one.uncorrectable for one in found)
    figures: Figures = {"controllers": len(found), "corrected": corrected, "uncorrected": uncorrected}
    told = ", ".join(where(found))
    if uncorrected:
        return (failed(trial, codes.UNCORRECTED, told, figures=figures),)
    if corrected:
        return (degraded(trial, codes.CORRECTED, told, figures=figures),)
    return (passed(trial, figures=figures),)


def where(found: tuple[MemoryErrors, ...]) -> list[str]:
    """Who had how many."""
    said: list[str] = []
    for one in found:
        modules = () if isinstance(one.modules, Unknown) else one.modules
        named = [module for module in modules if module.correctable or module.uncorrectable]
        said += [f"{each.name}: {each.correctable} corrected, {each.uncorrectable} uncorrected" for each in named]
        if not named and (one.correctable or one.uncorrectable):
            said.append(f"{one.controller}: {one.correctable} corrected, {one.uncorrectable} uncorrected")
    return said


def patterns(bench: Bench, trial: Trial) -> Verdicts:
    """In as much of what is free as the settings say, as burn-in does it."""
    asked = MemoryLoad(seconds=trial.settings["seconds"], percent=trial.settings["percent"])
    try:
        found = burn_memory(bench.host, asked, bench.course, at_least_once=True)
    except PreconditionError as error:
        return (skipped(trial, codes.NOT_APPLICABLE, error.evidence),)
    except BurnInFailed as error:
        return (failed(trial, codes.HANGS if bench.course.hanging else codes.MEMORY_WRONG, error.evidence),)
    if found.state == "degraded":  # some of it was compared, and all that was, was well
        return (skipped(trial, codes.TIME_OVER, found.told, figures=found.figures),)
    return (of_load(trial, found, codes.MEMORY_WRONG),)


@dataclass
class Tally:
    """Of one thread."""

    copied_bytes: int = 0


def bandwidth(bench: Bench, trial: Trial) -> Verdicts:
    """Every processor copies a region of its own, over and over; a byte that is copied is one read and one written."""
    processors = bench.host.processors.numbers()
    if available(bench.host.files) < len(processors) * ROOM_BYTES + RESERVE_BYTES:
        return (skipped(trial, codes.NOT_APPLICABLE, f"less than {ROOM_BYTES >> 20} MiB are free for each processor"),)
    tallies = [Tally() for _ in processors]

    def worker(number: int, tally: Tally) -> Callable[[Event], None]:
        def work(stop: Event) -> None:
            bench.host.processors.bind(number)
            room = aligned(ROOM_BYTES)
            one, other = room[: ROOM_BYTES // 2], room[ROOM_BYTES // 2 :]
            while True:
                copy(one, other)
                tally.copied_bytes += len(one)
                if stop.is_set():
                    return

        return work

    workers = {f"bandwidth-{place}": worker(number, tallies[place]) for place, number in enumerate(processors)}
    ran_s = bench.course.run("bandwidth", trial.settings["seconds"], workers)
    rate = round(sum(tally.copied_bytes for tally in tallies) / max(ran_s, 0.001) / 10**6)
    figures: Figures = {"MB/s": rate, "threads": len(processors), "seconds": round(ran_s)}
    least = trial.settings["least"]
    if rate < least:
        return (degraded(trial, codes.MEMORY_SLOW, f"less than {least} MB/s", figures=figures),)
    return (passed(trial, figures=figures),)
