# SPDX-License-Identifier: Apache-2.0
"""The doors to what becomes of packets, as protocols: rules that they pass, and the speed at which they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.model.network import Bandwidth, IPAddress


class Nftables(Protocol):
    """nf_tables. A table is named with its family, such as "inet filter". Each call is one transaction: all or nothing.

    Raises `HostError`, or `ToolMissing` where the library is not installed.
    """

    def __call__(self, script: str) -> None:
        """Run commands in nft's language."""
        ...

    def chains(self, table: str) -> Mapping[str, int]:
        """Name → how many rules it has, and how many jumps lead to it. Empty if there is no such table."""
        ...

    def sets(self, table: str) -> tuple[str, ...]:
        """Names of sets and maps that have one."""
        ...

    def remove(self, table: str, chains: Sequence[str], sets: Sequence[str]) -> None:
        """Take away sets that no rule needs, and chains without rules, to which none of any other set leads."""
        ...

    def change(
        self,
        table: str,
        add: Mapping[str, Sequence[IPAddress]],
        remove: Mapping[str, Sequence[IPAddress]],
        rename: tuple[str, str],
    ) -> None:
        """Put addresses into sets (by name), and out of them; and give an empty chain another name. What is so already
        is no error. It costs what changes, not what there is.
        """
        ...


class Traffic(Protocol):
    """Shapers. Raises `HostError`."""

    def limit(self, link: str, bandwidth: Bandwidth) -> None:
        """Shape what goes through the link of that name; `Bandwidth()` takes the limits away."""
        ...

    def shapers(self) -> dict[int, int]:
        """Index of a link → `Bandwidth.handle` of the limits that it has; 1 where parts of them are missing."""
        ...
