# SPDX-License-Identifier: Apache-2.0
"""Observes which firewall and which EIPs are loaded, by two short listings. It never reads the rules."""

from __future__ import annotations

from agent.errors import HostError
from agent.host.doors import Host
from agent.model.network.nft import EIPS_TABLE, FIREWALL_TABLE, mark_of


def loaded_digests(host: Host) -> tuple[str | None, str | None]:
    """Of the firewall and of the EIPs; `None` where there is none, or rules came or went since it was loaded."""
    return loaded_digest(host, FIREWALL_TABLE), loaded_digest(host, EIPS_TABLE)


def loaded_digest(host: Host, table: str) -> str | None:
    """Of one table. A kernel that does not tell (without nf_tables, or the right to ask) is one that has none."""
    try:
        found = mark_of(host.nftables.chains(table))
    except HostError:
        return None
    return found.digest if found else None
