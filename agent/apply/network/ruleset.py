# SPDX-License-Identifier: Apache-2.0
"""The content of one table of nf_tables, and the script that puts it in place of the present one. Pure.

A packet that is under way while a script is committed goes on with the rules that it began with, but looks into sets
as they are after it (nft_do_chain() and nft_set_elem_active() in net/netfilter). So, for none to be lost or let in:

- The table and the chains that hook stay; all rules go and come in one transaction.
- Every ruleset has sets of its own, a new generation: those of the former one stay, unused, until it is over. Without
  a name (`tcp dport { 80, 443 }`) a set would go with its rule: there are none such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.model.network.nft import Mark


@dataclass
class Ruleset:
    """`table` is with its family."""

    table: str
    digest: str
    generation: int
    chains: dict[str, str] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    content: list[str] = field(default_factory=list)
    uses: int = 0

    @property
    def mark(self) -> str:
        """The name of the chain by which it is known once it is loaded."""
        return str(Mark(self.digest, self.uses, self.generation))

    def chain(self, name: str, hook: str = "") -> None:
        """A chain; `hook` is where it begins to be asked: "type … hook … priority …; policy …;"."""
        self.chains[name] = f" {{ {hook} }}" if hook else ""

    def rule(self, chain: str, text: str) -> None:
        """At the end of a chain."""
        self.content.append(f"add rule {self.table} {chain} {text}")
        self.uses += 1 + text.count("jump ")

    def set(self, name: str, type_and_flags: str, elements: Iterable[str], noun: str = "set") -> str:
        """A set; or a map, with elements "key : value". What rules call it."""
        full = f"{name}-{self.generation}"
        self.sets[full] = f"{noun} {self.table} {full} {{ type {type_and_flags}; }}"
        if text := ", ".join(elements):
            self.content.append(f"add element {self.table} {full} {{ {text} }}")
            self.uses += text.count("goto ")
        return f"@{full}"

    def script(self) -> str:
        """In place of what is there. Sets and chains of before are left to be taken away."""
        lines = [
            f"add table {self.table}",
            *(f"add chain {self.table} {name}{hook}" for name, hook in self.chains.items()),
            *(f"add {definition}" for definition in self.sets.values()),
            f"flush table {self.table}",
            *self.content,
            f"add chain {self.table} {self.mark}",
        ]
        return "\n".join(lines) + "\n"

    def left_over(self, chains: Iterable[str], sets: Iterable[str]) -> tuple[list[str], list[str]]:
        """Which chains and sets of those that are there it does not need."""
        known = {*self.chains, self.mark}
        return [name for name in chains if name not in known], [name for name in sets if name not in self.sets]
