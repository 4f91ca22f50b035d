# SPDX-License-Identifier: Apache-2.0
"""Names in nf_tables by which what is loaded is known again: whoever loads and whoever observes agree here.

A table has an empty chain, its mark: its name holds the digest of what was loaded, how often its chains are used (by a
rule in them, or a jump to them), and its generation, which ends the names of its sets, too. The kernel counts the uses
itself, so a listing of the chains tells if a rule came or went.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIREWALL_TABLE = "inet bms_agent"
EIPS_TABLE = "ip bms_agent"
CHANGED = "changed"
"""In place of a digest: what is loaded is not what was."""


@dataclass(frozen=True)
class Mark:
    """What a mark says."""

    digest: str
    uses: int
    generation: int

    def __str__(self) -> str:
        """The chain's name."""
        return f"loaded-{self.digest}-{self.uses}-{self.generation}"


def generation_of(name: str) -> int:
    """The end of a name; 0 of one that has none."""
    end = name.rpartition("-")[2]
    return int(end) if end.isdecimal() else 0


def newest(chains: Iterable[str]) -> Mark | None:
    """Of the marks among these chains; of older ones the agent died before it took them away."""
    found = [name.split("-") for name in chains if name.startswith("loaded-")]
    marks = [Mark(digest, int(uses), int(generation)) for _, digest, uses, generation in found]
    return max(marks, key=lambda mark: mark.generation, default=None)


def mark_of(chains: Mapping[str, int]) -> Mark | None:
    """Of a table with these chains (name → uses), if it is as it was loaded."""
    found = newest(chains)
    return found if found is not None and found.uses == sum(chains.values()) else None
