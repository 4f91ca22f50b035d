# SPDX-License-Identifier: Apache-2.0
"""Validation: which tests hardware is put to, with what settings, and what is found of each part.

A test is a row of `agent.model.validation.catalogue`; a trial is a test with its settings decided. What is found is a
`Verdict`, as burn-in's; its `code` is one of `agent.model.validation.codes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from agent.model.burn_in import State, Verdict
from agent.model.disk import DiskIdentity
from agent.model.frozen import Frozen
from agent.model.validation.codes import NO_CARRIER, NOT_APPLICABLE

Part = Literal["cpu", "memory", "disk", "network"]
Profile = Literal["quick", "standard", "long"]
PROFILES: tuple[Profile, ...] = ("quick", "standard", "long")
Overall = Literal["failed", "degraded", "incomplete", "passed", "skipped"]
WORST_FIRST: tuple[State, ...] = ("failed", "degraded", "passed", "skipped")
NO_GAPS = (NOT_APPLICABLE, NO_CARRIER)
"""What is skipped for these leaves nothing unknown: there is nothing to be tested, or no cable in a port."""
MONTH_S = 30 * 86400
TimeLimit = Annotated[int, Field(ge=1, le=MONTH_S, description="seconds, of all tests together")]


class Parameter(Frozen):
    """What can be set of a test: a whole number within bounds, and what it is in each profile."""

    name: str
    unit: str
    least: int
    most: int
    values: tuple[int, int, int] = Field(description="quick, standard, long")
    means: str


class Test(Frozen):
    """A row of the catalogue."""

    name: str
    part: Part
    proves: str
    profiles: tuple[Profile, ...] = PROFILES
    parameters: tuple[Parameter, ...] = ()
    limit_s: int = Field(
        description="it may take that much longer than its own `seconds`, and than there is to do; then it is ended"
    )
    destroys: bool = Field(default=False, description="what is on the disks that the request names, and no others")


class Trial(Frozen):
    """A test that will be done, and how."""

    test: str
    part: Part
    settings: dict[str, int] = Field(default_factory=dict)
    limit_s: int
    seconds: int = Field(description="that it takes if all is well, as far as that is known before")

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.test} ({settings})" if settings else self.test


class Validate(Frozen):
    """Each trial in turn. `record_path` is what the next process goes on by, if this one is killed."""

    kind: Literal["validate"] = "validate"
    trials: tuple[Trial, ...]
    disks: tuple[DiskIdentity, ...] = Field(default=(), description="those that are tested, by reading")
    wiped: tuple[DiskIdentity, ...] = Field(default=(), description="those that are written to")
    time_limit_s: int | None = None
    record_path: str


def is_gap(one: Verdict) -> bool:
    """Whether it should have been tested, and was not."""
    return one.state == "skipped" and one.code not in NO_GAPS


class Validated(Frozen):
    """All that was found. `state` is that of the worst; it is incomplete where nothing is bad, some of it is well, and
    of some nothing is known.
    """

    state: Overall
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Validated:
        """Where nothing could be tested, nothing is passed."""
        found = tuple(verdicts)
        states = {one.state for one in found}
        state: Overall = next((one for one in WORST_FIRST if one in states), "skipped")
        return cls(state="incomplete" if state == "passed" and any(map(is_gap, found)) else state, verdicts=found)

    def count(self, state: State) -> int:
        """How many are so."""
        return sum(one.state == state for one in self.verdicts)
