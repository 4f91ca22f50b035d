# SPDX-License-Identifier: Apache-2.0
"""What must hold between the parts of a desired network. Each fault names the field.

What depends on the machine (which NICs there are, what their MTU is) is the planner's matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from agent.model.network.firewall import Eip, Firewall
from agent.model.network.link import Bond, BondMode, Bridge, Ethernet, Link, Vlan, Vrf, Vxlan
from agent.model.network.route import Route, RouteType, Rule
from agent.model.network.values import MADE_PATTERN, IPInterface

VXLAN_OVERHEAD_BYTES = {4: 50, 6: 70}
"""RFC 7348 section 5: Ethernet 14, IP 20 or 40, UDP 8, VXLAN 8."""


def faults_of(
    links: Sequence[Link],
    routes: Sequence[Route],
    rules: Sequence[Rule],
    firewall: Firewall | None,
    eips: Sequence[Eip],
) -> list[str]:
    """All that is wrong, each with the field's name; empty if it is sound."""
    named = {link.name: link for link in links}
    return [
        *names_are_plain(links),
        *names_once(links),
        *lower_links_are_there(links, named),
        *ports_once(links),
        *no_loops(links, named),
        *bonds_make_sense(links),
        *mtus_fit(links, named),
        *addresses_once(links),
        *subnets_apart(links),
        *routes_lead_somewhere(routes, named),
        *routes_once(routes),
        *rules_once(rules, named),
        *the_rest_is_there(named, firewall, eips),
    ]


def names_are_plain(links: Sequence[Link]) -> Iterator[str]:
    """A NIC has the name that it has; all others get theirs here."""
    for place, link in enumerate(links):
        if not isinstance(link, Ethernet) and not re.fullmatch(MADE_PATTERN, link.name):
            yield f"links.{place}.name: {link.name!r} has more than letters, digits, '_', '.' and '-'"


def names_once(links: Sequence[Link]) -> Iterator[str]:
    """One name, one link; one permanent MAC, one NIC; one tag, one link."""
    seen: dict[object, str] = {}
    for place, link in enumerate(links):
        match link:
            case Ethernet():
                key: object = ("mac", link.mac)
            case Vlan():
                key = (link.parent, link.protocol, link.vlan_id)
            case Vxlan():
                key = ("vni", link.vni, link.port)
            case Vrf():
                key = ("table", link.table)
            case _:
                key = None
        for field, value in (("name", ("name", link.name)), (link.kind, key)):
            if value is not None and value in seen:
                yield f"links.{place}.{field}: {link.name} is the same as {seen[value]}"
            elif value is not None:
                seen[value] = link.name


def lower_links_are_there(links: Sequence[Link], named: dict[str, Link]) -> Iterator[str]:
    """Parents and ports are links of this configuration."""
    for place, link in enumerate(links):
        field = "parent" if hasattr(link, "parent") else "ports"
        for lower in link.lower:
            if lower not in named:
                yield f"links.{place}.{field}: {link.name} needs {lower}, which is no link here"
        if isinstance(link, Bond) and not link.ports:
            yield f"links.{place}.ports: bond {link.name} has none"


def ports_once(links: Sequence[Link]) -> Iterator[str]:
    """A link is a port of one other at most; a bond's port has no address of its own."""
    owner: dict[str, str] = {}
    bare = {link.name: link for link in links}
    for place, link in enumerate(links):
        if not hasattr(link, "ports"):
            continue
        for port in link.lower:
            if port in owner:
                yield f"links.{place}.ports: {port} is a port of {owner[port]} already"
            owner[port] = link.name
            if not isinstance(link, Vrf) and port in bare and bare[port].addresses:
                yield f"links.{place}.ports: {port} has addresses: {link.name} must have them"


def no_loops(links: Sequence[Link], named: dict[str, Link]) -> Iterator[str]:
    """No link stands on itself."""
    state: dict[str, bool] = {}

    def loops(name: str) -> bool:
        if name in state:
            return state[name]
        state[name] = True  # while it is looked at: meeting it again is a loop
        state[name] = any(loops(lower) for lower in named[name].lower if lower in named)
        return state[name]

    for place, link in enumerate(links):
        if loops(link.name):
            yield f"links.{place}: {link.name} stands on itself, by way of {', '.join(link.lower)}"
            return


def bonds_make_sense(links: Sequence[Link]) -> Iterator[str]:
    """Options that a mode does not know are refused by the kernel halfway (drivers/net/bonding/bond_options.c)."""
    for place, link in enumerate(links):
        if not isinstance(link, Bond):
            continue
        if link.primary is not None and link.primary not in link.ports:
            yield f"links.{place}.primary: {link.primary} is no port of {link.name}"
        lone = (BondMode.ACTIVE_BACKUP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB)
        if link.primary is not None and link.mode not in lone:
            yield f"links.{place}.primary: {link.mode} has no primary port"
        for field in ("lacp_rate", "min_links"):
            if getattr(link, field) is not None and link.mode is not BondMode.LACP:
                yield f"links.{place}.{field}: only 802.3ad has it, not {link.mode}"
        hashing = (BondMode.BALANCE_XOR, BondMode.LACP, BondMode.BALANCE_TLB)
        if link.hash_policy is not None and link.mode not in hashing:
            yield f"links.{place}.hash_policy: {link.mode} does not hash"


def mtus_fit(links: Sequence[Link], named: dict[str, Link]) -> Iterator[str]:
    """No link is wider than what carries it; a bridge's port may be wider than the bridge, a bond's may not differ."""
    for place, link in enumerate(links):
        if link.mtu is None or isinstance(link, Vrf | Bridge):
            continue
        room = VXLAN_OVERHEAD_BYTES[link.local.version] if isinstance(link, Vxlan) else 0
        for lower in link.lower:
            carrier = named[lower].mtu if lower in named else None
            if carrier is not None and link.mtu + room > carrier:
                yield f"links.{place}.mtu: {link.mtu} of {link.name} does not fit into {carrier - room} of {lower}"


def domains(links: Sequence[Link]) -> dict[str, str]:
    """Link → the VRF it routes in; "" is the machine's own."""
    return {port: link.name for link in links if isinstance(link, Vrf) for port in link.ports}


def addresses_once(links: Sequence[Link]) -> Iterator[str]:
    """Within a VRF an address has one owner. Link-local ones may be on every link."""
    domain, owner = domains(links), dict[tuple[str, object], str]()
    for place, link in enumerate(links):
        for address in link.addresses or ():
            key = (domain.get(link.name, ""), address.ip)
            if key in owner and not address.ip.is_link_local:
                yield f"links.{place}.addresses: {address.ip} of {link.name} is also on {owner[key]}"
            owner[key] = link.name


def subnets_apart(links: Sequence[Link]) -> Iterator[str]:
    """Two links may be in one subnet, but not in two that overlap: which of them a packet left by would be chance."""
    domain = domains(links)
    found: dict[tuple[str, int], list[tuple[int, IPInterface, str]]] = {}
    for place, link in enumerate(links):
        for address in link.addresses or ():
            if address.network.prefixlen < address.max_prefixlen and not address.ip.is_link_local:
                found.setdefault((domain.get(link.name, ""), address.version), []).append((place, address, link.name))
    for each in found.values():
        each.sort(key=lambda one: (int(one[1].network.network_address), one[1].network.prefixlen))
        for (_, first, one), (place, second, other) in pairwise(each):
            if first.network != second.network and first.network.overlaps(second.network) and one != other:
                yield f"links.{place}.addresses: {second} of {other} overlaps with {first} of {one}"


def routes_lead_somewhere(routes: Sequence[Route], named: dict[str, Link]) -> Iterator[str]:
    """A route has a link that is there, and a gateway that is a neighbour on it."""
    for place, route in enumerate(routes):
        if route.type is not RouteType.UNICAST:
            continue
        link = named.get(route.link or "")
        if link is None:
            yield f"routes.{place}.link: {route.link or 'none'} is no link here"
            continue
        for field in ("gateway", "source"):
            address = getattr(route, field)
            if address is not None and address.version != route.destination.version:
                yield f"routes.{place}.{field}: {address} is of another version than {route.destination}"
        if route.gateway is not None and not is_neighbour(route, link):
            yield f"routes.{place}.gateway: {route.gateway} is on no network of {link.name}"


def is_neighbour(route: Route, link: Link) -> bool:
    """Whether the gateway can be spoken to. Where addresses come from somebody else, nobody can say."""
    gateway = route.gateway
    assert gateway is not None
    elsewhere = link.dhcp4 if gateway.version == 4 else (link.dhcp6 or link.accept_ra)
    if route.onlink or gateway.is_link_local or elsewhere or link.addresses is None:
        return True
    return any(gateway in address.network for address in link.addresses if address.version == gateway.version)


def routes_once(routes: Sequence[Route]) -> Iterator[str]:
    """The kernel would replace the one with the other."""
    seen = set()
    for place, route in enumerate(routes):
        if route.key in seen:
            yield f"routes.{place}: a second one to {route.destination} in table {route.table}, metric {route.metric}"
        seen.add(route.key)


def rules_once(rules: Sequence[Rule], named: dict[str, Link]) -> Iterator[str]:
    """No rule twice, and none for a link that is not there."""
    seen = set()
    for place, rule in enumerate(rules):
        if rule in seen:
            yield f"rules.{place}: the same as an earlier one"
        seen.add(rule)
        for field in ("in_link", "out_link"):
            link = getattr(rule, field)
            if link is not None and link not in named:
                yield f"rules.{place}.{field}: {link} is no link here"


def the_rest_is_there(named: dict[str, Link], firewall: Firewall | None, eips: Sequence[Eip]) -> Iterator[str]:
    """Groups and EIPs are of links that are there; an EIP's private address is its link's; both once."""
    for link in firewall.links if firewall else ():
        if link not in named:
            yield f"firewall.links.{link}: it is no link here"
    for place, eip in enumerate(eips):
        bound = named.get(eip.link)
        if bound is None:
            yield f"eips.{place}.link: {eip.link} is no link here"
        elif bound.addresses is not None and all(one.ip != eip.private for one in bound.addresses) and not bound.dhcp4:
            yield f"eips.{place}.private: {eip.private} is not on {eip.link}"
    for (_, first), (place, second) in combinations(enumerate(eips), 2):
        if first.address == second.address or first.private == second.private:
            yield f"eips.{place}: the same address as an earlier one"
