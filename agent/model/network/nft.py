# SPDX-License-Identifier: Apache-2.0
"""Names in nf_tables by which what is loaded is known again: whoever loads and whoever observes agree here.

A table has an empty chain whose name holds the digest of what was loaded, and how often its chains are used: by a rule
in them, or a jump to them. The kernel counts that itself, so a listing of the chains tells if a rule came or went.
"""

from __future__ import annotations

from collections.abc import Mapping

FIREWALL_TABLE = "inet bms_agent"
EIPS_TABLE = "ip bms_agent"
MARK = "loaded"


def mark(digest: str, uses: int) -> str:
    """The chain's name."""
    return f"{MARK}-{digest}-{uses}"


def mark_in(chains: Mapping[str, int]) -> str | None:
    """The mark among a table's chains (name → uses), if the table is as it was loaded."""
    marks = [name for name in chains if name.startswith(f"{MARK}-")]
    return marks[0] if len(marks) == 1 and uses_of(marks[0]) == sum(chains.values()) else None


def digest_of(name: str) -> str:
    """What was loaded."""
    return name.split("-")[1]


def uses_of(name: str) -> int:
    """How often its chains were used when it was loaded."""
    return int(name.split("-")[2])
