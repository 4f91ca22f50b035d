# SPDX-License-Identifier: Apache-2.0
"""Links as rtnetlink messages (linux/if_link.h): made from the model, and read as they are."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from agent.host.rtnetlink.channel import Change
from agent.host.rtnetlink.message import (
    BE16,
    CREATE,
    EXCLUSIVE,
    attribute,
    attributes,
    mac,
    message,
    number,
    string,
    text,
    u8,
    u16,
    u32,
)
from agent.model.network import (
    Bond,
    BondMode,
    Bridge,
    HashPolicy,
    LacpRate,
    Link,
    Macvlan,
    MacvlanMode,
    Vlan,
    VlanProtocol,
    Vrf,
    Vxlan,
)

NEWLINK, DELLINK, GETLINK = 16, 17, 18
IFINFOMSG = Struct("=BxHiII")  # family, device type, index, flags, change
IFF_UP = 0x1
LOOPBACK = 772  # ARPHRD_LOOPBACK
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_EXT_MASK, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_PERM_ADDRESS = 29, 33, 37, 54
WITHOUT_STATISTICS = u32(IFLA_EXT_MASK, 8)  # RTEXT_FILTER_SKIP_STATS: they change, and nobody asks here
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5

VLAN_ID, VLAN_PROTOCOL = 1, 5
PROTOCOLS = {VlanProtocol.CUSTOMER: 0x8100, VlanProtocol.SERVICE: 0x88A8}
MACVLAN_MODE = 1
MACVLAN_MODES = {mode: 1 << place for place, mode in enumerate(MacvlanMode)}
VRF_TABLE = 1
VXLAN_ID, VXLAN_LINK, VXLAN_LOCAL, VXLAN_PORT, VXLAN_LOCAL6 = 1, 3, 4, 15, 17
BRIDGE_STP = 5
BOND_MODE, BOND_ACTIVE, BOND_MIIMON, BOND_PRIMARY, BOND_HASH, BOND_MIN_LINKS = 1, 2, 3, 11, 14, 18
BOND_LACP_RATE, BOND_AD_INFO, AD_PARTNER_MAC = 21, 23, 5
BOND_MODES, HASH_POLICIES, LACP_RATES = tuple(BondMode), tuple(HashPolicy), tuple(LacpRate)
PORT_STATE, PORT_MII, PORT_PERM_MAC, PORT_AGGREGATOR, PORT_ACTOR, PORT_PARTNER = 1, 2, 4, 6, 7, 8


class RawLink(NamedTuple):
    """A link as the kernel tells it, with indexes where the model has names. `data` and `port` are options by number,
    the link's own and those that it has as somebody's port.
    """

    ifindex: int
    name: str
    kind: str
    loopback: bool
    up: bool
    carrier: bool
    mtu: int
    mac: str
    permanent_mac: str | None
    parent: int
    upper: int
    data: Mapping[int, bytes]
    port: Mapping[int, bytes]


def dump_body() -> bytes:
    """What is asked for: every link, without its counters."""
    return IFINFOMSG.pack(0, 0, 0, 0, 0) + WITHOUT_STATISTICS


def read_link(body: bytes) -> RawLink:
    """A message about a link."""
    _, device, index, flags, _ = IFINFOMSG.unpack_from(body)
    found = attributes(body, IFINFOMSG.size)
    info = attributes(found[IFLA_LINKINFO], 0) if IFLA_LINKINFO in found else {}
    data = attributes(info[INFO_DATA], 0) if INFO_DATA in info else {}
    port = attributes(info[INFO_SLAVE_DATA], 0) if info.get(INFO_SLAVE_KIND) == b"bond\0" else {}
    permanent = found.get(IFLA_PERM_ADDRESS) or port.get(PORT_PERM_MAC)
    elsewhere = IFLA_LINK_NETNSID in found  # the parent is in another namespace: its index says nothing here
    return RawLink(
        ifindex=index,
        name=string(found[IFLA_IFNAME]),
        kind=string(info[INFO_KIND]) if INFO_KIND in info else "ethernet",
        loopback=device == LOOPBACK,
        up=bool(flags & IFF_UP),
        carrier=bool(number(found.get(IFLA_CARRIER))),
        mtu=number(found.get(IFLA_MTU)),
        mac=mac(found.get(IFLA_ADDRESS)),
        permanent_mac=mac(permanent) if permanent and any(permanent) else None,
        parent=0 if elsewhere else number(found.get(IFLA_LINK)),
        upper=number(found.get(IFLA_MASTER)),
        data=data,
        port=port,
    )


def create(link: Link, indexes: Mapping[str, int]) -> Change:
    """Make it, down."""
    body = IFINFOMSG.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, link.name)
    if link.mac is not None:
        body += attribute(IFLA_ADDRESS, bytes.fromhex(link.mac.replace(":", "")))
    if link.mtu is not None:
        body += u32(IFLA_MTU, link.mtu)
    if isinstance(link, Vlan | Macvlan):
        body += u32(IFLA_LINK, indexes.get(link.parent, 0))
    body += attribute(IFLA_LINKINFO, kind_and_options(link, options(link, indexes) + fixed(link, indexes)))
    return Change(message(NEWLINK, CREATE | EXCLUSIVE, body), f"creating {link.kind} {link.name}")


def change(link: Link, indexes: Mapping[str, int]) -> Change:
    """Set what can be set while it lives."""
    body = IFINFOMSG.pack(0, 0, indexes.get(link.name, 0), 0, 0)
    body += attribute(IFLA_LINKINFO, kind_and_options(link, options(link, indexes)))
    return Change(message(NEWLINK, 0, body), f"changing {link.kind} {link.name}")


def delete(name: str, index: int) -> Change:
    """Take it away."""
    return Change(message(DELLINK, 0, IFINFOMSG.pack(0, 0, index, 0, 0)), f"deleting {name}", (errno.ENODEV,))


def set_link(
    index: int, name: str, *, up: bool | None = None, mtu: int | None = None, mac: str | None = None
) -> Change:
    """What is given."""
    flags, mask = (IFF_UP if up else 0, IFF_UP) if up is not None else (0, 0)
    body = IFINFOMSG.pack(0, 0, index, flags, mask)
    words = [] if up is None else ["up" if up else "down"]
    if mtu is not None:
        body += u32(IFLA_MTU, mtu)
        words.append(f"MTU {mtu}")
    if mac is not None:
        body += attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
        words.append(f"MAC {mac}")
    return Change(message(NEWLINK, 0, body), f"setting {name} {', '.join(words)}")


def set_upper(index: int, name: str, upper: int, upper_name: str | None) -> Change:
    """Make it a port of that, or of nothing."""
    body = IFINFOMSG.pack(0, 0, index, 0, 0) + u32(IFLA_MASTER, upper)
    doing = f"making {name} a port of {upper_name}" if upper_name else f"releasing {name}"
    return Change(message(NEWLINK, 0, body), doing)


def kind_and_options(link: Link, data: bytes) -> bytes:
    """IFLA_LINKINFO."""
    return text(INFO_KIND, link.kind) + (attribute(INFO_DATA, data) if data else b"")


def fixed(link: Link, indexes: Mapping[str, int]) -> bytes:
    """Options that a link is made with, and keeps. A bond's mode changes only while it has no port."""
    match link:
        case Bond():
            return u8(BOND_MODE, BOND_MODES.index(link.mode))
        case Vlan():
            return u16(VLAN_ID, link.vlan_id) + attribute(VLAN_PROTOCOL, BE16.pack(PROTOCOLS[link.protocol]))
        case Vxlan():
            local = VXLAN_LOCAL if link.local.version == 4 else VXLAN_LOCAL6
            data = u32(VXLAN_ID, link.vni) + attribute(local, link.local.packed)
            data += attribute(VXLAN_PORT, BE16.pack(link.port))
            return data + (u32(VXLAN_LINK, indexes.get(link.parent, 0)) if link.parent else b"")
        case Vrf():
            return u32(VRF_TABLE, link.table)
        case Macvlan():
            return u32(MACVLAN_MODE, MACVLAN_MODES[link.mode])
        case _:
            return b""


def options(link: Link, indexes: Mapping[str, int]) -> bytes:
    """Options that may change. Those of a bond stand behind its mode, which decides which of them there are."""
    match link:
        case Bond():
            data = b"" if link.miimon_ms is None else u32(BOND_MIIMON, link.miimon_ms)
            if link.lacp_rate is not None:
                data += u8(BOND_LACP_RATE, LACP_RATES.index(link.lacp_rate))
            if link.hash_policy is not None:
                data += u8(BOND_HASH, HASH_POLICIES.index(link.hash_policy))
            if link.min_links is not None:
                data += u32(BOND_MIN_LINKS, link.min_links)
            if link.primary is not None:
                data += u32(BOND_PRIMARY, indexes.get(link.primary, 0))
            return data
        case Bridge() if link.stp is not None:
            return u32(BRIDGE_STP, int(link.stp))
        case _:
            return b""
