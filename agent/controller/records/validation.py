# SPDX-License-Identifier: Apache-2.0
"""What is kept of validations: what was ordered of a node's hardware, by whom, and what its agent found."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from agent.errors import InputError
from agent.model.frozen import Frozen
from agent.model.validation import Part, Profile, TimeLimit, Validated
from agent.model.validation.catalogue import chosen


class ValidationOrder(Frozen):
    """Which tests. No disk is ever written to by one that comes from here."""

    profile: Profile = "quick"
    parts: tuple[Part, ...] = Field(default=(), max_length=4, description="only tests of these; () is all")
    tests: tuple[str, ...] = Field(default=(), max_length=100, description="these alone, whatever the profile has")
    settings: dict[str, int] = Field(
        default_factory=dict, max_length=100, description="by test.parameter, or by parameter"
    )
    time_limit_s: TimeLimit | None = None

    @model_validator(mode="after")
    def _is_in_the_catalogue(self) -> Self:
        try:
            chosen(self.profile, self.parts, self.tests, self.settings, wipe=False)
        except InputError as error:
            raise ValueError(error.evidence) from None
        return self


class Validation(Frozen):
    """A validation. How it ended is its job's to tell."""

    job_id: str
    node_id: str
    order: ValidationOrder
    ordered_by: str
    ordered_at: datetime
    found: Validated | None = None
