# SPDX-License-Identifier: Apache-2.0
"""Tests of disks by what they say of themselves: health, self-tests, links. Nothing is read from them but that."""

from __future__ import annotations

from collections.abc import Callable

from agent.apply.validation.bus import link_of, short_of, words
from agent.apply.validation.trials import Bench, Figures, Verdicts, degraded, failed, named, passed, skipped
from agent.model.burn_in import Verdict
from agent.model.fact import Unknown, known
from agent.model.hardware import Hardware
from agent.model.hardware.disk import DiskHealth, DiskInFull
from agent.model.hardware.self_test import failing
from agent.model.validation import Trial, codes

FIGURES = {
    "temperature_celsius": "°C",
    "power_on_hours": "hours",
    "used_percent": "used %",
    "spare_percent": "spare %",
    "media_errors": "media errors",
    "reallocated_sectors": "reallocated",
    "pending_sectors": "pending",
    "crc_errors": "CRC errors",
}


def each_judged(bench: Bench, trial: Trial, judged: Callable[[Trial, DiskInFull], Verdict]) -> Verdicts:
    """Those of the plan, as they are now. One of which nothing is seen any more has a verdict, too."""
    seen = bench.hardware.disks
    if isinstance(seen, Unknown):
        why = seen.unknown
        return tuple(skipped(trial, codes.UNKNOWN, why, named(one)) for one in bench.step.disks) or no_disks(trial)
    by_identity = {one.identity: one for one in seen}
    return tuple(
        judged(trial, by_identity[one])
        if one in by_identity
        else failed(trial, codes.DISK_GONE, "it was there when this was planned, and is not now", named(one))
        for one in bench.step.disks
    ) or no_disks(trial)


def health(bench: Bench, trial: Trial) -> Verdicts:
    """Each disk's own verdict, and what speaks against it."""
    return each_judged(bench, trial, judged_health)


def judged_health(trial: Trial, disk: DiskInFull) -> Verdict:
    """One. Sectors that cannot be read, or are to be replaced, come before a disk's own verdict turns bad."""
    who, found = named(disk.identity), disk.health
    if isinstance(found, Unknown):
        return skipped(trial, codes.UNKNOWN, found.unknown, who)
    if found is None:
        return skipped(trial, codes.NOT_APPLICABLE, "it does not tell how it is", who)
    figures = figures_of(found)
    if found.passed is False:
        return failed(
            trial, codes.DISK_FAILING, "; ".join(found.warnings) or "its own verdict is: failed", who, figures
        )
    against = [*found.warnings]
    against += [f"{found.pending_sectors} sectors wait to be replaced"] if found.pending_sectors else []
    against += [f"{found.media_errors} errors of its medium"] if found.media_errors else []
    if against:
        return degraded(trial, codes.DISK_FAILING, "; ".join(against), who, figures)
    used, most = found.used_percent, trial.settings["used"]
    if used is not None and used > most:
        return degraded(trial, codes.DISK_WORN, f"{used} % of its endurance are used", who, figures)
    if found.passed is None and not figures:
        return skipped(trial, codes.UNKNOWN, "it tells neither a verdict nor a figure", who)
    return passed(trial, who, figures)


def figures_of(found: DiskHealth) -> Figures:
    """Those that it tells."""
    told = {words: getattr(found, field) for field, words in FIGURES.items()}
    return {words: value for words, value in told.items() if value is not None}


def self_tests(bench: Bench, trial: Trial) -> Verdicts:
    """What disks remember. A fault counts until a later test of as much has found nothing."""
    return each_judged(bench, trial, judged_self_tests)


def judged_self_tests(trial: Trial, disk: DiskInFull) -> Verdict:
    """One."""
    who, found = named(disk.identity), disk.self_tests
    if isinstance(found, Unknown):
        return skipped(trial, codes.UNKNOWN, found.unknown, who)
    if not found:
        return skipped(trial, codes.NOT_APPLICABLE, "it has not tested itself yet" if found == () else "it cannot", who)
    figures: Figures = {"self-tests": len(found), "newest": str(found[0])}
    fault = failing(found)
    if fault is not None:
        return failed(trial, codes.SELF_TEST_FAILED, str(fault), who, figures)
    if not any(one.outcome == "passed" for one in found):
        return skipped(trial, codes.UNKNOWN, "none of its self-tests came to an end", who, figures)
    return passed(trial, who, figures)


def links(bench: Bench, trial: Trial) -> Verdicts:
    """SATA by its generation, NVMe by lanes and their speed; others have no link of their own to look at."""
    return each_judged(bench, trial, lambda trial, one: judged_link(trial, bench.hardware, one))


def judged_link(trial: Trial, hardware: Hardware, disk: DiskInFull) -> Verdict:
    """One."""
    who, transport = named(disk.identity), known(disk.transport)
    if transport == "sata":
        now, best = known(disk.link_gbps), known(disk.best_link_gbps)
        if now is None or best is None:
            return skipped(trial, codes.UNKNOWN, "it does not tell its link's speed", who)
        figures: Figures = {"Gbit/s": f"{now:g}"}
        if now < best:
            return degraded(trial, codes.DISK_LINK, f"{now:g} of {best:g} Gbit/s", who, figures)
        return passed(trial, who, figures)
    link = link_of(hardware, known(disk.pci_address)) if transport == "nvme" else None
    if link is None or not link.width_lanes:
        return skipped(trial, codes.NOT_APPLICABLE, "it has no link of its own that tells", who)
    missing = short_of(link)
    if missing:
        return degraded(trial, codes.DISK_LINK, missing, who, {"link": words(link)})
    return passed(trial, who, {"link": words(link)})


def no_disks(trial: Trial) -> Verdicts:
    """Nothing to look at."""
    return (skipped(trial, codes.NOT_APPLICABLE, "no disk is to be tested"),)
