# SPDX-License-Identifier: Apache-2.0
"""EIPs that this host translates itself, as rules of nf_tables. Pure: EIPs in, a `Ruleset` out.

The gateway sends what is for an EIP to the private address's MAC; so no address and no proxy ARP is needed here. What
goes to an EIP's `exempt` networks keeps its private address. EIPs that the gateway translates need nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import collapse_addresses

from agent.apply.network.ruleset import Ruleset
from agent.model.network import Eip, EipMode, eips_digest
from agent.model.network.nft import EIPS_TABLE


def ruleset(eips: Iterable[Eip], generation: int = 1) -> Ruleset:
    """All of them."""
    eips = tuple(eips)
    ours = [eip for eip in eips if eip.mode is EipMode.HOST]
    made = Ruleset(EIPS_TABLE, eips_digest(eips), generation)
    private = made.set("private", "ipv4_addr : ipv4_addr", (f"{eip.address} : {eip.private}" for eip in ours), "map")
    public = made.set("public", "ipv4_addr : ipv4_addr", (f"{eip.private} : {eip.address}" for eip in ours), "map")
    pairs = (f"{eip.private} . {net}" for eip in ours for net in collapse_addresses(eip.exempt))
    exempt = made.set("exempt", "ipv4_addr . ipv4_addr; flags interval", pairs)
    for hook, priority in (("prerouting", "dstnat"), ("output", "-100")):
        made.chain(hook, f"type nat hook {hook} priority {priority}; policy accept;")
        if ours:
            made.rule(hook, f"dnat to ip daddr map {private}")
    made.chain("postrouting", "type nat hook postrouting priority srcnat; policy accept;")
    if ours:
        made.rule("postrouting", f"ip saddr . ip daddr {exempt} return")
        made.rule("postrouting", f"snat to ip saddr map {public}")
    return made
