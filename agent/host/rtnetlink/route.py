# SPDX-License-Identifier: Apache-2.0
"""Addresses, routes, rules and a VXLAN's remotes as rtnetlink messages (linux/if_addr.h, rtnetlink.h, fib_rules.h)."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from struct import Struct
from typing import NamedTuple

from agent.host.rtnetlink.channel import Change
from agent.host.rtnetlink.message import (
    AF_BRIDGE,
    APPEND,
    CREATE,
    EXCLUSIVE,
    FAMILY,
    REPLACE,
    address,
    attribute,
    attributes,
    message,
    number,
    string,
    text,
    u32,
)
from agent.model.network import IPAddress, IPInterface, IPNetwork, Route, RouteType, Rule

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34

IFADDRMSG = Struct("=BBBBI")  # family, prefix length, flags, scope, index
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_PERMANENT, IFA_F_DADFAILED = 0x80, 0x08

RTMSG = Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
OPAQUE = {9, 18, 30}  # RTA_MULTIPATH, RTA_VIA, RTA_NH_ID: more than our model can say
RTPROT_KERNEL, RTPROT_BOOT, RTPROT_STATIC = 2, 3, 4
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_NOWHERE = 0, 253, 255
ONLINK = 4  # RTNH_F_ONLINK
CLONED = 0x200  # RTM_F_CLONED
TYPES = {1: RouteType.UNICAST, 6: RouteType.BLACKHOLE, 7: RouteType.UNREACHABLE, 8: RouteType.PROHIBIT}
TYPE_NUMBERS = {kind: value for value, kind in TYPES.items()}

RULEMSG = Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, -, -, action, flags
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME = 1, 2, 3, 6, 10, 15, 16, 17
FRA_SUPPRESS, FRA_PROTOCOL = 14, 21
TO_TABLE = 1  # FR_ACT_TO_TBL
PLAIN = {
    FRA_DST,
    FRA_SRC,
    FRA_IIFNAME,
    FRA_PRIORITY,
    FRA_FWMARK,
    FRA_TABLE,
    FRA_FWMASK,
    FRA_OIFNAME,
    FRA_SUPPRESS,
    FRA_PROTOCOL,
}
ALL_BITS = 0xFFFFFFFF

NDMSG = Struct("=BxxxiHBB")  # family, index, state, flags, type
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT_NOARP, NTF_SELF = 0x80 | 0x40, 0x02
ANYWHERE = bytes(6)


class Address(NamedTuple):
    """An address of a link. A lease has an end; a duplicate was found to be somebody else's too (RFC 4862)."""

    ifindex: int
    interface: IPInterface
    lease: bool
    duplicate: bool


class FoundRoute(NamedTuple):
    """A route, and whether it is another program's: a lease's, a router's, a routing daemon's."""

    route: Route
    leased: bool


class Remote(NamedTuple):
    """Where a VXLAN floods to."""

    ifindex: int
    address: IPAddress


def change_address(index: int, name: str, interface: IPInterface, *, add: bool) -> Change:
    """Put it there, for ever, or take it away. Networks have a broadcast address; pairs (RFC 3021) have none."""
    packed, length = interface.ip.packed, interface.network.prefixlen
    body = IFADDRMSG.pack(FAMILY[interface.version], length, 0, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if interface.version == 4 and length < 31:
        body += attribute(IFA_BROADCAST, interface.network.broadcast_address.packed)
    if add:
        return Change(message(NEWADDR, CREATE | REPLACE, body), f"adding {interface} to {name}")
    fine = (errno.EADDRNOTAVAIL,)
    return Change(message(DELADDR, 0, body), f"removing {interface} from {name}", fine)


def read_address(body: bytes) -> Address | None:
    """None for link-local ones, which the kernel makes."""
    _, length, flags, _, index = IFADDRMSG.unpack_from(body)
    found = attributes(body, IFADDRMSG.size)
    flags = number(found[IFA_FLAGS]) if IFA_FLAGS in found else flags
    packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    if not packed:
        return None
    ours = IPv4Interface((packed, length)) if len(packed) == 4 else IPv6Interface((packed, length))
    if ours.ip.is_link_local and ours.version == 6:
        return None
    return Address(index, ours, not flags & IFA_F_PERMANENT, bool(flags & IFA_F_DADFAILED))


def change_route(index: int, route: Route, *, add: bool) -> Change:
    """Put it in place of any with its key, or take it away."""
    version = route.destination.version
    kind = TYPE_NUMBERS[route.type]
    direct = version == 4 and route.gateway is None and route.type is RouteType.UNICAST
    scope = SCOPE_NOWHERE if not add else SCOPE_LINK if direct else SCOPE_UNIVERSE
    table = route.table if route.table < 256 else 0
    flags = ONLINK if route.onlink else 0
    body = RTMSG.pack(
        FAMILY[version], route.destination.prefixlen, 0, 0, table, RTPROT_STATIC if add else 0, scope, kind, flags
    )
    body += u32(RTA_TABLE, route.table)
    if route.destination.prefixlen:
        body += attribute(RTA_DST, route.destination.network_address.packed)
    if index:
        body += u32(RTA_OIF, index)
    if route.gateway is not None:
        body += attribute(RTA_GATEWAY, route.gateway.packed)
    if route.metric:
        body += u32(RTA_PRIORITY, route.metric)
    if route.source is not None:
        body += attribute(RTA_PREFSRC, route.source.packed)
    where = f"{route.destination} in table {route.table}" + (f" through {route.gateway}" if route.gateway else "")
    if add:
        return Change(message(NEWROUTE, CREATE | REPLACE, body), f"setting the route to {where}")
    return Change(message(DELROUTE, 0, body), f"removing the route to {where}", (errno.ESRCH,))


def read_route(body: bytes, names: Mapping[int, str]) -> FoundRoute | None:
    """`names`: of links, by index. None for the kernel's own and for clones.
    One over several gateways, or over a gateway of another version, is told without a link: it is not ours to set."""
    family, length, _, _, table, protocol, _, kind, flags = RTMSG.unpack_from(body)
    if protocol == RTPROT_KERNEL or kind not in TYPES or flags & CLONED or family not in (2, 10):
        return None
    found = attributes(body, RTMSG.size)
    opaque = bool(OPAQUE & found.keys())
    gateway, source = found.get(RTA_GATEWAY), found.get(RTA_PREFSRC)
    metric = number(found.get(RTA_PRIORITY))
    route = Route.model_construct(
        destination=network(family, found.get(RTA_DST), length),
        link=None if opaque else names.get(number(found.get(RTA_OIF))),
        gateway=address(gateway) if gateway else None,
        table=number(found.get(RTA_TABLE)) or table,
        metric=0 if family == FAMILY[6] and metric == 1024 else metric,
        source=address(source) if source else None,
        onlink=bool(flags & ONLINK),
        type=TYPES[kind],
    )
    return FoundRoute(route, opaque or protocol not in (RTPROT_BOOT, RTPROT_STATIC))


def network(family: int, packed: bytes | None, length: int) -> IPNetwork:
    """A destination; without an address it is everywhere."""
    if family == FAMILY[4]:
        return IPv4Network((packed or bytes(4), length))
    return IPv6Network((packed or bytes(16), length))


def change_rule(rule: Rule, *, add: bool) -> Change:
    """Add it once, or take it away."""
    source, destination = rule.source, rule.destination
    body = RULEMSG.pack(
        FAMILY[rule.version],
        destination.prefixlen if destination else 0,
        source.prefixlen if source else 0,
        0,
        rule.table if rule.table < 256 else 0,
        0,
        0,
        TO_TABLE,
        0,
    )
    body += u32(FRA_TABLE, rule.table) + u32(FRA_PRIORITY, rule.priority)
    if source is not None:
        body += attribute(FRA_SRC, source.network_address.packed)
    if destination is not None:
        body += attribute(FRA_DST, destination.network_address.packed)
    if rule.in_link is not None:
        body += text(FRA_IIFNAME, rule.in_link)
    if rule.out_link is not None:
        body += text(FRA_OIFNAME, rule.out_link)
    if rule.mark is not None:
        body += u32(FRA_FWMARK, rule.mark) + u32(FRA_FWMASK, ALL_BITS)
    doing = f"rule {rule.priority} to table {rule.table}"
    if add:
        return Change(message(NEWRULE, CREATE | EXCLUSIVE, body), f"adding {doing}", (errno.EEXIST,))
    return Change(message(DELRULE, 0, body), f"removing {doing}", (errno.ENOENT,))


def read_rule(body: bytes) -> Rule | None:
    """None for the kernel's own, and for those that ask what our model does not know."""
    family, to_length, from_length, tos, table, _, _, action, flags = RULEMSG.unpack_from(body)
    found = attributes(body, RULEMSG.size)
    priority = number(found.get(FRA_PRIORITY))
    plain = family in (2, 10) and action == TO_TABLE and not tos and not flags & ~0x8 and set(found) <= PLAIN
    if not plain or not 1 <= priority <= 32765:
        return None
    return Rule.model_construct(
        priority=priority,
        table=number(found.get(FRA_TABLE)) or table,
        version=4 if family == FAMILY[4] else 6,
        source=network(family, found[FRA_SRC], from_length) if FRA_SRC in found else None,
        destination=network(family, found[FRA_DST], to_length) if FRA_DST in found else None,
        in_link=string(found[FRA_IIFNAME]) if FRA_IIFNAME in found else None,
        out_link=string(found[FRA_OIFNAME]) if FRA_OIFNAME in found else None,
        mark=number(found[FRA_FWMARK]) if FRA_FWMARK in found else None,
    )


def change_remote(index: int, name: str, remote: IPAddress, *, add: bool) -> Change:
    """An entry for the MAC of all zeroes: whatever has no place of its own is sent there (bridge(8), vxlan)."""
    body = NDMSG.pack(AF_BRIDGE, index, NUD_PERMANENT_NOARP, NTF_SELF, 0)
    body += attribute(NDA_LLADDR, ANYWHERE) + attribute(NDA_DST, remote.packed)
    if add:
        return Change(message(NEWNEIGH, CREATE | APPEND, body), f"adding {remote} to {name}", (errno.EEXIST,))
    return Change(message(DELNEIGH, 0, body), f"removing {remote} from {name}", (errno.ENOENT,))


def read_remote(body: bytes) -> Remote | None:
    """None for places that were learnt."""
    family, index, _, _, _ = NDMSG.unpack_from(body)
    found = attributes(body, NDMSG.size)
    if family != AF_BRIDGE or found.get(NDA_LLADDR) != ANYWHERE or NDA_DST not in found:
        return None
    return Remote(index, address(found[NDA_DST]))


def forget_place(body: bytes, gone: Collection[tuple[int, bytes]]) -> Change | None:
    """Where a MAC was learnt to be, if that is one of the remotes (index of the link, packed address) that are gone."""
    family, index, _, _, _ = NDMSG.unpack_from(body)
    found = attributes(body, NDMSG.size)
    mac, remote = found.get(NDA_LLADDR, ANYWHERE), found.get(NDA_DST)
    if family != AF_BRIDGE or mac == ANYWHERE or remote is None or (index, remote) not in gone:
        return None
    entry = NDMSG.pack(AF_BRIDGE, index, 0, NTF_SELF, 0) + attribute(NDA_LLADDR, mac) + attribute(NDA_DST, remote)
    return Change(message(DELNEIGH, 0, entry), f"forgetting who was at {address(remote)}", (errno.ENOENT,))
