# SPDX-License-Identifier: Apache-2.0
"""Routes, rules and links in the words of ip(8): formats that are scripts in the end hand them on to it."""

from __future__ import annotations

from agent.model.network import (
    MAIN_TABLE,
    Bond,
    BondMode,
    Bridge,
    Ethernet,
    Link,
    Macvlan,
    Route,
    RouteType,
    Rule,
    Vlan,
    Vrf,
    Vxlan,
)


def route_words(route: Route, dev: str | None) -> list[str]:
    """What comes after `ip route add`: ip-route(8)."""
    words = [] if route.type is RouteType.UNICAST else [str(route.type)]
    words += [str(route.destination)]
    words += ["via", str(route.gateway)] if route.gateway is not None else []
    words += ["dev", dev] if dev is not None else []
    return words + route_options(route)


def route_options(route: Route) -> list[str]:
    """What is neither the way nor the end of it."""
    words = ["table", str(route.table)] if route.table != MAIN_TABLE else []
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["src", str(route.source)] if route.source is not None else []
    return words + (["onlink"] if route.onlink else [])


def rule_words(rule: Rule) -> list[str]:
    """What comes after `ip rule add`: ip-rule(8)."""
    pairs = {
        "priority": rule.priority,
        "from": rule.source if rule.source or rule.destination else "all",
        "to": rule.destination,
        "iif": rule.in_link,
        "oif": rule.out_link,
        "fwmark": rule.mark,
        "table": rule.table,
    }
    return [word for key, value in pairs.items() if value is not None for word in (key, str(value))]


def making_words(link: Link) -> list[str]:
    """What comes after `ip link add`: ip-link(8). Nothing for a NIC, and for a bond, which is made otherwise."""
    parent: str | None = getattr(link, "parent", None)
    words = [*(["link", parent] if parent and not isinstance(link, Vxlan) else []), "dev", link.name, "type", link.kind]
    match link:
        case Vlan():
            return [*words, "protocol", link.protocol, "id", str(link.vlan_id)]
        case Vxlan():
            words += ["id", str(link.vni), "local", str(link.local), "dstport", str(link.port)]
            return words + (["dev", link.parent] if link.parent else [])
        case Vrf():
            return [*words, "table", str(link.table)]
        case Bridge():
            return words + ([] if link.stp is None else ["stp_state", str(int(link.stp))])
        case Macvlan():
            return [*words, "mode", link.mode]
        case Ethernet() | Bond():
            return []


def bond_options(link: Bond) -> dict[str, str]:
    """Options of the module, by their names there (Documentation/networking/bonding.rst); the mode by its number."""
    options = {
        "mode": list(BondMode).index(link.mode),
        "xmit_hash_policy": link.hash_policy,
        "miimon": link.miimon_ms,
        "lacp_rate": link.lacp_rate,
        "min_links": link.min_links,
        "primary": link.primary,
    }
    return {key: str(value) for key, value in options.items() if value is not None}
