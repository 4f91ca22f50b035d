# SPDX-License-Identifier: Apache-2.0
"""Observes which firewall and which EIPs are loaded, by two short listings. It never reads the rules."""

from __future__ import annotations

from agent.errors import HostError
from agent.host.doors import Host
from agent.model.network.nft import CHANGED, EIPS_TABLE, FIREWALL_TABLE, mark_of


def digests_or_why_not(host: Host) -> tuple[str | None, str | None, str | None]:
    """Of the firewall and of the EIPs. Of what cannot be read (a kernel without nf_tables, one that fails, no right to
    ask) it is said why: nobody may take it for none.
    """
    try:
        return *loaded_digests(host), None
    except HostError as error:
        return None, None, str(error)


def loaded_digests(host: Host) -> tuple[str | None, str | None]:
    """Of the firewall and of the EIPs. Raises `HostError`."""
    return loaded_digest(host, FIREWALL_TABLE), loaded_digest(host, EIPS_TABLE)


def loaded_digest(host: Host, table: str) -> str | None:
    """Of one table; `None` where there is none, `CHANGED` where rules came or went since it was loaded. Raises
    `HostError`.
    """
    chains = host.nftables.chains(table)
    found = mark_of(chains)
    if found is not None:
        return found.digest
    return CHANGED if chains else None
