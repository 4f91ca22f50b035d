# SPDX-License-Identifier: Apache-2.0
"""A fact is known (the value), absent (`None`) or unknown, with the reason why.

"No disks" and "the probe failed" must never look alike, so a probe that fails says so in the fact's place.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from agent.model.frozen import Frozen

T = TypeVar("T")


class Unknown(Frozen):
    """The fact could not be read; `unknown` says why."""

    unknown: str

    def __str__(self) -> str:
        return f"unknown ({self.unknown})"


Fact: TypeAlias = T | Unknown | None


def known(fact: T | Unknown | None) -> T | None:
    """The value, or `None` when it is absent or unknown: for showing and for matching, never for deciding absence."""
    return None if isinstance(fact, Unknown) else fact
