# SPDX-License-Identifier: Apache-2.0
"""What a test has at hand while it is done, and the words in which it says what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.apply.burn_in.course import Course
from agent.host.doors import Host
from agent.model.burn_in import State, Verdict
from agent.model.disk import DiskIdentity
from agent.model.hardware import Hardware
from agent.model.hardware.sensor import Sensor
from agent.model.plan import DiskMustBe
from agent.model.validation import Trial, Validate, codes

Figures = dict[str, str | int]
Verdicts = tuple[Verdict, ...]


class Sight(Protocol):
    """What is observed for tests, by whoever may import the inventory."""

    def hardware(self) -> Hardware:
        """The machine in full."""
        ...

    def sensors(self) -> tuple[Sensor, ...]:
        """What is measured now."""
        ...


@dataclass(frozen=True)
class Bench:
    """One validation. `hold` looks at a disk again before it is written to."""

    host: Host
    step: Validate
    course: Course
    sight: Sight
    hardware: Hardware
    hold: Callable[[DiskMustBe], None]


Doing = Callable[[Bench, Trial], Verdicts]


def passed(trial: Trial, subject: str = "", figures: Figures | None = None) -> Verdict:
    """It does as it should."""
    return verdict(trial, "passed", codes.PASSED, subject=subject, figures=figures)


def skipped(trial: Trial, code: str, told: str, subject: str = "", figures: Figures | None = None) -> Verdict:
    """Nothing is known of it."""
    return verdict(trial, "skipped", code, told, subject, figures)


def degraded(trial: Trial, code: str, told: str, subject: str = "", figures: Figures | None = None) -> Verdict:
    """It works, and not as it should."""
    return verdict(trial, "degraded", code, told, subject, figures)


def failed(trial: Trial, code: str, told: str, subject: str = "", figures: Figures | None = None) -> Verdict:
    """It is broken."""
    return verdict(trial, "failed", code, told, subject, figures)


def verdict(
    trial: Trial, state: State, code: str, told: str = "", subject: str = "", figures: Figures | None = None
) -> Verdict:
    """Any of them."""
    return Verdict(
        test=trial.test, part=trial.part, state=state, code=code, told=told, subject=subject, figures=figures or {}
    )


def of_load(trial: Trial, found: Verdict, worse: str) -> Verdict:
    """A burn-in's finding as a test's: `worse` is its code, if it is not simply passed. A load that had too little time
    to find anything is no sign of bad hardware.
    """
    code = {"passed": codes.PASSED, "skipped": codes.TIME_OVER}.get(found.state, worse)
    return found.model_copy(update={"test": trial.test, "part": trial.part, "code": code})


def named(disk: DiskIdentity) -> str:
    """As people know it."""
    return f"{disk.path} ({disk.serial or disk.wwn or 'no serial'})"
