# SPDX-License-Identifier: Apache-2.0
"""A table of nf_tables on a fake machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

JUMP = re.compile(r"\b(?:jump|goto) ([^\s,]+)")


@dataclass
class FakeTable:
    """Chains with their rules, sets with their elements."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def used(cls, chains: Mapping[str, int]) -> FakeTable:
        """One whose chains have so many rules; what they say is not known."""
        return cls(chains={name: ["counter"] * count for name, count in chains.items()})

    def uses(self) -> dict[str, int]:
        """As the kernel counts: rules of a chain, and jumps to it."""
        texts = [*self.chains.values(), *self.sets.values()]
        targets = [target for each in texts for text in each for target in JUMP.findall(text)]
        return {name: len(rules) + targets.count(name) for name, rules in self.chains.items()}
