# SPDX-License-Identifier: Apache-2.0
"""Tests of processors: known answers of each, then all of them under load, with what they measure of themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from threading import Event

from agent.apply.burn_in.cpu import burn_cpu
from agent.apply.validation.answers import ANSWERS, Answer, wrong_of
from agent.apply.validation.trials import Bench, Verdicts, degraded, failed, of_load, passed, skipped
from agent.errors import BurnInFailed, TimeOver
from agent.model.burn_in import CpuLoad
from agent.model.fact import known
from agent.model.hardware.sensor import Sensor
from agent.model.validation import Trial, codes

CHIP = re.compile(
    r"coretemp|k8temp|k10temp|zenpower|via_cputemp|x86_pkg_temp|apm_xgene|(cpu|cpuss|soc|package)\d*_thermal"
)
"""linux/drivers/hwmon, and thermal zones as drivers/thermal/thermal_hwmon.c names them."""
LABEL = re.compile(r"CPU|PECI|T(ctl|die|ccd)|Package id|Core \d", re.IGNORECASE)
"""Of chips on boards, which measure other things besides (nct6775.c, and Intel's and AMD's own)."""


def answers(bench: Bench, trial: Trial, known_ones: Mapping[str, Answer] = ANSWERS) -> Verdicts:
    """One processor after the other, by a thread that is bound to it. Each that is wrong is named."""
    processors, rounds = bench.host.processors.numbers(), trial.settings["rounds"]
    wrong: dict[int, dict[str, int]] = {}
    done: list[int] = []

    def work(stop: Event) -> None:
        for number in processors:
            bench.host.processors.bind(number)
            for _ in range(rounds):
                if stop.is_set():
                    return
                for kind in wrong_of(known_ones):
                    counts = wrong.setdefault(number, {})
                    counts[kind] = counts.get(kind, 0) + 1
            done.append(number)

    def told() -> bool:
        bench.course.tell(f"{len(done)} of {len(processors)} processors")
        return False

    with suppress(TimeOver):
        bench.course.run_until({"answers": work}, told)
    figures: dict[str, str | int] = {"processors": len(done), "rounds": rounds, "answers": len(known_ones)}
    rest: Verdicts = ()
    if bench.course.hanging:
        rest = (failed(trial, codes.HANGS, "it does not come back", f"processor {processors[len(done)]}", figures),)
    elif len(done) < len(processors):
        told_of = f"{len(done)} of {len(processors)} processors were done when the time was over"
        rest = (skipped(trial, codes.TIME_OVER, told_of, figures=figures),)
    if not wrong:
        return rest or (passed(trial, figures=figures),)
    return rest + tuple(
        failed(
            trial,
            codes.CPU_WRONG,
            f"wrong results: {', '.join(f'{kind} ({count} of {rounds})' for kind, count in kinds.items())}",
            f"processor {number}",
            {"rounds": rounds, "wrong": sum(kinds.values())},
        )
        for number, kinds in sorted(wrong.items())
    )


def load(bench: Bench, trial: Trial) -> Verdicts:
    """All at once, as burn-in does it; temperatures as they are right after it."""
    try:
        found = burn_cpu(bench.host, CpuLoad(seconds=trial.settings["seconds"]), bench.course)
    except BurnInFailed as error:
        return (failed(trial, codes.HANGS if bench.course.hanging else codes.CPU_WRONG, error.evidence),)
    return (of_load(trial, found, codes.CPU_UNEVEN), *temperatures(trial, bench.sight.sensors()))


def temperatures(trial: Trial, sensors: tuple[Sensor, ...]) -> Verdicts:
    """Of the processors' own sensors that have a limit: a disk that is hot has a test of its own. A machine without
    such sensors tells nothing, and is not judged by them.
    """
    limited = [
        (one, reading, limit)
        for one in filter(is_of_processor, sensors)
        if one.reading_units == "Cel" and (reading := known(one.reading)) is not None and (limit := known(one.critical))
    ]
    if not limited:
        return (skipped(trial, codes.NOT_APPLICABLE, "no processor has a temperature and its limit", "temperatures"),)
    hot = [
        degraded(trial, codes.CPU_HOT, f"its limit is {limit:g} °C", name_of(one), {"°C": round(reading)})
        for one, reading, limit in limited
        if reading >= limit
    ]
    nearest, reading, limit = min(limited, key=lambda one: one[2] - one[1])
    figures: dict[str, str | int] = {"°C": round(reading), "limit °C": round(limit), "sensor": name_of(nearest)}
    return tuple(hot) or (passed(trial, "temperatures", figures),)


def is_of_processor(sensor: Sensor) -> bool:
    """By its driver, or by what a board's chip calls it."""
    return bool(CHIP.fullmatch(sensor.chip) or LABEL.match(sensor.name))


def name_of(sensor: Sensor) -> str:
    """Chip and label."""
    return f"{sensor.chip} {sensor.name}"
