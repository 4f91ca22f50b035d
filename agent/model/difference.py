# SPDX-License-Identifier: Apache-2.0
"""What is another between two inventories of one machine."""

from __future__ import annotations

from typing import Literal

from agent.model.frozen import Frozen

Weight = Literal["fault", "change", "note"]


class Difference(Frozen):
    """One of them. `code` is stable; a fault is what somebody should go and look at."""

    code: str
    weight: Weight
    what: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        match self.before, self.after:
            case None, None:
                return self.what
            case before, None:
                return f"{self.what}: {before} is gone"
            case None, after:
                return f"{self.what}: {after} is new"
            case before, after:
                return f"{self.what}: {before} is now {after}"
