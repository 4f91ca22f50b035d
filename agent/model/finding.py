# SPDX-License-Identifier: Apache-2.0
"""A finding: something about this machine that somebody should know, with its evidence and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from agent.model.frozen import Frozen


class Severity(StrEnum):
    """How much it matters, worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Finding(Frozen):
    """`code` is stable. `why` is what was seen; it never repeats `what`."""

    severity: Severity
    code: str
    what: str
    why: str
    to_do: str


class Diagnosis(Frozen):
    """All that was found, worst first."""

    who: str = Field(description="maker, product and serial of this machine, as far as they are known")
    answer: str = Field(description="in one line: what keeps this machine from working, or that nothing was found")
    findings: tuple[Finding, ...]
    unknown: dict[str, str] = Field(description="what could not be looked at, and why: no finding there means nothing")
    took_s: float

    @property
    def is_bad(self) -> bool:
        """Whether something keeps this machine from working."""
        return any(one.severity is Severity.ERROR for one in self.findings)
