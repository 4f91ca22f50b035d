# SPDX-License-Identifier: Apache-2.0
"""Several NICs in one subnet: each answers for itself.

Without this a packet to the second NIC's address is answered from the first, with the first's MAC, and a gateway that
checks the source drops it (strict source checks of a cloud's gateways; RFC 3704).
"""

from __future__ import annotations

from ipaddress import ip_network

from agent.model.network.route import Route, Rule
from agent.model.network.values import DEFAULT_V4, DEFAULT_V6, IPAddress, IPInterface


def answered_from(
    link: str, address: IPInterface, gateway: IPAddress | None, table: int, priority: int
) -> tuple[tuple[Route, ...], tuple[Rule, ...]]:
    """A table of this link's own, used by whatever bears this address: its network, and its gateway if it has one."""
    routes = [Route(destination=address.network, link=link, source=address.ip, table=table)]
    if gateway is not None:
        everywhere = DEFAULT_V4 if gateway.version == 4 else DEFAULT_V6
        routes.append(Route(destination=everywhere, link=link, gateway=gateway, table=table))
    rule = Rule(priority=priority, table=table, version=address.version, source=ip_network(address.ip))
    return tuple(routes), (rule,)
