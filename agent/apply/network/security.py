# SPDX-License-Identifier: Apache-2.0
"""Security groups as rules of nf_tables. Pure: a `Firewall` in, a `Ruleset` out.

A packet meets `input` (or `output`), which knows the link; then `link-NAME-in`, which asks `always-in` and each of the
link's groups, and drops; and `group-ID-in`, which accepts. There may be thousands of rules, so those of a group that
differ in their remote and ports alone are one, with sets of both; the members of a group are one set, for all who name
it.

Always allowed, as clouds do: answers to what was allowed and errors about it (path MTU among them), DHCP of a client,
IPv6's neighbour discovery, router advertisements and multicast listeners; and the loopback device is never asked. Only
what begins or ends at this host is asked: what it routes or bridges for others (containers, guests) is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.apply.network.reach import Reach, merged, range_text, span_of, span_text, text_of
from agent.apply.network.ruleset import Ruleset
from agent.errors import InputError
from agent.model.network import Direction, Firewall, IPAddress, IPNetwork, SecurityGroup, SecurityRule
from agent.model.network.nft import FIREWALL_TABLE

FEW = 8
"""Addresses that are worth no set: the kernel looks for a set by its name among all, one by one, so that thousands of
sets take seconds."""
SAFE_NAME = re.compile(r"[A-Za-z0-9._-]+")
ADDRESS_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
WIDTHS = {4: 32, 6: 128}
IP = {4: "ip", 6: "ip6"}
PROTOCOLS = {"tcp": 6, "udp": 17}
ICMP = {4: ("icmp", 1), 6: ("icmpv6", 58)}

STATE = ("ct state established,related accept", "ct state invalid drop")
ALWAYS = {
    Direction.IN: (
        *STATE,
        "meta nfproto ipv4 udp sport 67 udp dport 68 accept",
        "meta nfproto ipv6 udp sport 547 udp dport 546 accept",
        "icmpv6 type 134-136 accept",
        "icmpv6 type 130 accept",
    ),
    Direction.OUT: (
        *STATE,
        "meta nfproto ipv4 udp sport 68 udp dport 67 accept",
        "meta nfproto ipv6 udp sport 546 udp dport 547 accept",
        "icmpv6 type 133 accept",
        "icmpv6 type 135-136 accept",
        "icmpv6 type 131-132 accept",
        "icmpv6 type 143 accept",
    ),
}
"""ICMPv6: 133 to 136 are router and neighbour solicitation and advertisement (RFC 4861), 130 to 132 and 143 multicast
listener queries and reports (RFC 2710, RFC 3810)."""
HOOKS = {Direction.IN: "input", Direction.OUT: "output"}
LINK_KEYS = {Direction.IN: ("meta sdifname", "iifname"), Direction.OUT: ("oifname",)}
"""A VRF's port: on its way in a packet is the VRF's by the time that it meets `input`, and only `sdifname` still tells
the port; on its way out it meets `output` twice, as the VRF's and as the port's (Documentation/networking/vrf.rst)."""


@dataclass(slots=True)
class Remotes:
    """What the rules that differ in nothing else allow."""

    is_anybody: bool = False
    hosts: dict[str, None] = field(default_factory=dict)
    networks: list[tuple[int, int]] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)


Match = tuple[Direction, int, "str | int | None", "int | None", "int | None", "int | None", "int | None"]
"""Direction, version, protocol, ports, ICMP's type and code: a rule without its remote."""


def ruleset(firewall: Firewall, generation: int = 1, few: int = FEW) -> Ruleset:
    """All of it. Raises `InputError` for a name that no rule can hold."""
    made = Ruleset(FIREWALL_TABLE, firewall.digest, generation)
    for hook in HOOKS.values():
        made.chain(hook, f"type filter hook {hook} priority filter; policy accept;")
    links = {safe(link): groups for link, groups in firewall.links.items() if groups}
    for name, addresses in firewall.members.items():
        for version, some in by_version(addresses).items():
            made.set(f"members-{safe(name)}-{version}", ADDRESS_TYPES[version], some)
    if not links:
        return made
    for direction in Direction:
        add_chains(made, direction, links, firewall.groups, few)
    return made


def add_chains(
    made: Ruleset, direction: Direction, links: Mapping[str, tuple[str, ...]], groups: Iterable[SecurityGroup], few: int
) -> None:
    """Everything about one direction."""
    made.chain(f"always-{direction}")
    for text in ALWAYS[direction]:
        made.rule(f"always-{direction}", text)
    for group in groups:
        made.chain(f"group-{group.id}-{direction}")
        reaches, others = apart(rule for rule in group.rules if rule.direction is direction)
        for match, some in grouped(others).items():
            for text in rules_of(made, group.id, match, remotes_of(some), few):
                made.rule(f"group-{group.id}-{direction}", text)
        for (version, protocol), reach in reaches.items():
            for text in rules_of_reach(made, (group.id, direction, version, protocol), reach, few):
                made.rule(f"group-{group.id}-{direction}", text)
    for link, ids in links.items():
        chain = f"link-{link}-{direction}"
        made.chain(chain)
        for target in (f"always-{direction}", *(f"group-{each}-{direction}" for each in dict.fromkeys(ids))):
            made.rule(chain, f"jump {target}")
        made.rule(chain, "drop")
    targets = (f'"{link}" : goto link-{link}-{direction}' for link in links)
    name = made.set(f"links-{direction}", "ifname : verdict", targets, "map")
    for key in LINK_KEYS[direction]:
        made.rule(HOOKS[direction], f"{key} vmap {name}")


def apart(rules: Iterable[SecurityRule]) -> tuple[dict[tuple[int, str], Reach], list[SecurityRule]]:
    """What is about addresses and ports, by version and protocol: all of it is looked up at once; and the others."""
    reaches: dict[tuple[int, str], Reach] = {}
    others: list[SecurityRule] = []
    for rule in rules:
        if rule.remote is None or not rule.remote.prefixlen or rule.first_port is None or rule.last_port is None:
            others.append(rule)
            continue
        of = (rule.version, str(rule.protocol))
        if of not in reaches:
            reaches[of] = Reach(rule.version)
        reaches[of].add(rule.remote, (rule.first_port, rule.last_port))
    return reaches, others


def grouped(rules: Iterable[SecurityRule]) -> dict[Match, list[SecurityRule]]:
    """Rules that differ in their remote alone, together."""
    found: dict[Match, list[SecurityRule]] = {}
    for rule in rules:
        match = (
            rule.direction,
            rule.version,
            rule.protocol,
            rule.first_port,
            rule.last_port,
            rule.icmp_type,
            rule.icmp_code,
        )
        found.setdefault(match, []).append(rule)
    return found


def remotes_of(rules: Iterable[SecurityRule]) -> Remotes:
    """Theirs."""
    remotes = Remotes()
    for rule in rules:
        add_remote(remotes, rule.remote, rule.remote_group)
    return remotes


def add_remote(remotes: Remotes, network: IPNetwork | None, group: str | None) -> None:
    """One more that is allowed. Single hosts are apart: they are looked up by hashing, networks by searching."""
    if group is not None:
        remotes.groups[group] = None
    elif network is None or not network.prefixlen:
        remotes.is_anybody = True
    elif network.prefixlen == network.max_prefixlen:
        remotes.hosts[text_of(network.network_address)] = None
    else:
        remotes.networks.append(span_of(network))


def rules_of(made: Ruleset, group: str, match: Match, remotes: Remotes, few: int) -> Iterator[str]:
    """The rules for it; their sets are added to what is made."""
    direction, version, *_ = match
    what = f"{protocol_text(match)}accept"
    if remotes.is_anybody:
        yield f"meta nfproto ipv{version} {what}"
        return
    where = [f"@{members_set(each, version, made.generation)}" for each in remotes.groups]
    where += addresses_of(made, group, match, remotes, few)
    side = f"{IP[version]} {'saddr' if direction is Direction.IN else 'daddr'}"
    for each in where:
        yield f"{side} {each} {what}"


def rules_of_reach(made: Ruleset, of: tuple[str, Direction, int, str], reach: Reach, few: int) -> Iterator[str]:
    """Sets of addresses and ports; or, where they are few, each. `of` is the group, direction, version and protocol."""
    _, direction, version, protocol = of
    ip, side = IP[version], "saddr" if direction is Direction.IN else "daddr"
    kind = f"{ADDRESS_TYPES[version]} . inet_service"
    for suffix, flags, pairs in reach.sets():
        if len(pairs) > few:
            where = made.set("-".join(["allow", *map(str, of), suffix]), kind + flags, pairs)
            yield f"{ip} {side} . {protocol} dport {where} accept"
            continue
        for addresses, ports in (pair.split(" . ") for pair in pairs):
            yield f"{ip} {side} {addresses} {protocol} dport {ports} accept"


def addresses_of(made: Ruleset, group: str, match: Match, remotes: Remotes, few: int) -> Iterator[str]:
    """What addresses are compared with: sets, which are added to what is made; or, where they are few, each."""
    version = match[1]
    kind = ADDRESS_TYPES[version]
    for suffix, type_and_flags, some in (
        ("hosts", kind, list(remotes.hosts)),
        ("nets", f"{kind}; flags interval", [range_text(version, *span) for span in merged(remotes.networks)]),
    ):
        if len(some) > few:
            yield made.set(f"{name_of(group, match)}-{suffix}", type_and_flags, some)
        else:
            yield from some


def name_of(group: str, match: Match) -> str:
    """It always has as many parts, so that no two are the same, whatever a group is called."""
    direction, version, protocol, _, _, *icmp = match
    what = (direction, version, protocol, *icmp)
    return "-".join(["allow", group, *("any" if each is None else str(each) for each in what)])


def protocol_text(match: Match) -> str:
    """What of a packet is looked at besides its addresses; it ends with a space, if it is anything."""
    _, version, protocol, first, last, icmp_type, icmp_code = match
    icmp, number = ICMP[version]
    if protocol is None:
        return ""
    if first is not None:
        return f"{protocol} dport {span_text(first, last or first)} "
    if icmp_type is not None:
        code = "" if icmp_code is None else f"{icmp} code {icmp_code} "
        return f"{icmp} type {icmp_type} {code}"
    return f"meta l4proto {number if protocol == 'icmp' else PROTOCOLS.get(str(protocol), protocol)} "


def by_version(addresses: Iterable[IPAddress]) -> dict[int, list[str]]:
    """Both are there, be they empty."""
    found: dict[int, dict[str, None]] = {4: {}, 6: {}}
    for address in addresses:
        found[address.version][text_of(address)] = None
    return {version: list(texts) for version, texts in found.items()}


def members_set(group: str, version: int, generation: int) -> str:
    """The name of the set of a group's addresses."""
    return f"members-{safe(group)}-{version}-{generation}"


def safe(name: str) -> str:
    """A name that can stand in a script. Raises `InputError`: it must not become another command."""
    if SAFE_NAME.fullmatch(name) is None:
        raise InputError("making rules of security groups", f"{name!r} has characters that no rule can hold")
    return name
