# SPDX-License-Identifier: Apache-2.0
"""Rules about memory."""

from __future__ import annotations

from collections.abc import Iterator

from agent.diagnose.seen import Seen, items
from agent.model.finding import Finding, Severity


def errors(seen: Seen) -> Iterator[Finding]:
    """Counted by the memory controller since the boot. What could not be corrected was data."""
    for one in items(seen.memory_errors):
        if not one.correctable and not one.uncorrectable:
            continue
        modules = [rank for rank in items(one.modules) if rank.correctable or rank.uncorrectable]
        where = "; ".join(f"{rank.name}: {rank.correctable} and {rank.uncorrectable}" for rank in modules)
        yield Finding(
            severity=Severity.ERROR if one.uncorrectable else Severity.WARNING,
            code="MEMORY.ERRORS",
            what=f"the memory at {one.controller} has had errors",
            why=f"{one.correctable} corrected, {one.uncorrectable} not{'; ' + where if where else ''}",
            to_do="Reseat or replace the module that is named; if none is, move them, and see where the errors go.",
        )
