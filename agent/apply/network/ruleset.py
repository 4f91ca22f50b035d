# SPDX-License-Identifier: Apache-2.0
"""The content of one table of nf_tables, and the script that puts it in place of the present one. Pure.

The table and the chains that hook stay: taking them away and making them anew in one transaction was seen to lose
packets and to let forbidden ones in. All rules and elements go and come in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.model.network.nft import mark


@dataclass
class Ruleset:
    """`table` is with its family."""

    table: str
    digest: str
    chains: dict[str, str] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    content: list[str] = field(default_factory=list)
    uses: int = 0

    def chain(self, name: str, hook: str = "") -> None:
        """A chain; `hook` is where it begins to be asked: "type … hook … priority …; policy …;"."""
        self.chains[name] = f" {{ {hook} }}" if hook else ""

    def rule(self, chain: str, text: str) -> None:
        """At the end of a chain."""
        self.content.append(f"add rule {self.table} {chain} {text}")
        self.uses += 1 + text.count("jump ") + text.count("goto ")

    def set(self, name: str, type_and_flags: str, elements: Iterable[str], noun: str = "set") -> None:
        """A set; or a map, with elements "key : value"."""
        self.sets[name] = f"{noun} {self.table} {name} {{ type {type_and_flags}; }}"
        if text := ", ".join(elements):
            self.content.append(f"add element {self.table} {name} {{ {text} }}")

    def script(self, chains: Iterable[str] = (), sets: Iterable[str] = ()) -> str:
        """In place of what is there. `chains` and `sets` are the names that there are now."""
        loaded = mark(self.digest, self.uses)
        known = {*self.chains, loaded}
        lines = [
            f"add table {self.table}",
            *(f"add chain {self.table} {name}{hook}" for name, hook in self.chains.items()),
            *(f"add {definition}" for definition in self.sets.values()),
            f"flush table {self.table}",
            *(f"flush {definition.partition(' {')[0]}" for definition in self.sets.values()),
            *self.content,
            *(f"delete chain {self.table} {name}" for name in sorted(chains) if name not in known),
            *(f"delete set {self.table} {name}" for name in sorted(sets) if name not in self.sets),
            f"add chain {self.table} {loaded}",
        ]
        return "\n".join(lines) + "\n"
