# SPDX-License-Identifier: Apache-2.0
"""The test of disks that destroys: burn-in's load, on the disks that the request named, a verdict for each."""

from __future__ import annotations

from contextlib import suppress

from agent.apply.burn_in.disk import Tally, begun, load_disks, thread_of
from agent.apply.validation.trials import Bench, Figures, Verdicts, degraded, failed, named, passed, skipped
from agent.errors import TimeOver
from agent.model.burn_in import DiskLoad, Verdict
from agent.model.plan import DiskMustBe
from agent.model.validation import Trial, codes


def write(bench: Bench, trial: Trial) -> Verdicts:
    """Every block written and read back. Raises `PreconditionError` where a disk is not as it was planned."""
    for disk in bench.step.wiped:
        bench.hold(DiskMustBe(disk=disk))
    tallies = begun(bench.step.wiped, bench.course)
    with suppress(TimeOver):
        load_disks(bench.host, DiskLoad(loops=trial.settings["loops"]), tallies, bench.course)
    return tuple(judged(trial, one, hangs=thread_of(one.disk) in bench.course.hanging) for one in tallies)


def judged(trial: Trial, one: Tally, *, hangs: bool) -> Verdict:
    """One disk. What was not compared is not passed."""
    who = named(one.disk)
    figures: Figures = {
        "loops": one.loops,
        "GB compared": f"{one.compared_bytes / 10**9:.2f}",
        "longest ms": round(one.longest_s * 1000),
    }
    if one.fault is not None:
        return failed(trial, codes.DISK_WRONG, str(one.fault), who, figures)
    if hangs:
        return failed(trial, codes.HANGS, "it does not answer any more", who, figures)
    if one.loops < trial.settings["loops"]:
        return skipped(trial, codes.TIME_OVER, "not all of it was written and compared", who, figures)
    if one.longest_s * 1000 > trial.settings["stall"]:
        return degraded(trial, codes.DISK_STALLS, f"one order took {one.longest_s * 1000:.0f} ms", who, figures)
    return passed(trial, who, figures)
