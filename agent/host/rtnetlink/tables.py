# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells, put together: raw links, addresses and remotes become `LinkState`s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from agent.host.rtnetlink.link import (
    AD_PARTNER_MAC,
    BOND_ACTIVE,
    BOND_AD_INFO,
    BOND_HASH,
    BOND_LACP_RATE,
    BOND_MIIMON,
    BOND_MIN_LINKS,
    BOND_MODE,
    BOND_MODES,
    BOND_PRIMARY,
    BRIDGE_STP,
    HASH_POLICIES,
    LACP_RATES,
    MACVLAN_MODE,
    MACVLAN_MODES,
    PORT_ACTOR,
    PORT_AGGREGATOR,
    PORT_MII,
    PORT_PARTNER,
    PORT_STATE,
    PROTOCOLS,
    VLAN_ID,
    VLAN_PROTOCOL,
    VRF_TABLE,
    VXLAN_ID,
    VXLAN_LINK,
    VXLAN_LOCAL,
    VXLAN_LOCAL6,
    VXLAN_PORT,
    RawLink,
)
from agent.host.rtnetlink.message import BE16, address, attributes, mac, messages, number
from agent.host.rtnetlink.route import Address, Remote
from agent.model.network import (
    Bond,
    BondMode,
    BondPort,
    BondState,
    Bridge,
    Ethernet,
    IPAddress,
    Link,
    LinkState,
    Macvlan,
    Vlan,
    Vrf,
    Vxlan,
)
from agent.model.network.values import in_order

Parsed = TypeVar("Parsed")
MACVLAN_BY_NUMBER = {value: mode for mode, value in MACVLAN_MODES.items()}
PROTOCOL_BY_NUMBER = {value: protocol for protocol, value in PROTOCOLS.items()}
NICS = ("ethernet", "veth")
MAC_LETTERS = 17
MTUS = (1280, 65535)  # those of `Mtu`


class Memory(Generic[Parsed]):
    """Reads messages, and does not read again what the kernel said before, byte for byte."""

    def __init__(self, read: Callable[[bytes], Parsed | None]) -> None:
        self._read = read
        self._known: dict[bytes, Parsed | None] = {}

    def parsed(self, raw: bytes, kind: int) -> list[Parsed]:
        """Of every message of that type. What is not said any more is forgotten."""
        known, self._known = self._known, {}
        for each, _, _, body in messages(raw):
            if each == kind:
                self._known[body] = known[body] if body in known else self._read(body)
        return [one for one in self._known.values() if one is not None]


def link_states(
    links: Iterable[RawLink], addresses: Iterable[Address], remotes: Iterable[Remote]
) -> tuple[LinkState, ...]:
    """Every link, by index, but for the loopback device."""
    links = sorted(links, key=lambda link: link.ifindex)
    names = {link.ifindex: link.name for link in links}
    on: dict[int, list[Address]] = {}
    for each in addresses:
        on.setdefault(each.ifindex, []).append(each)
    flooded: dict[int, list[IPAddress]] = {}
    for remote in remotes:
        flooded.setdefault(remote.ifindex, []).append(remote.address)
    ports: dict[int, list[RawLink]] = {}
    for link in links:
        if link.upper:
            ports.setdefault(link.upper, []).append(link)
    return tuple(
        link_state(link, names, on.get(link.ifindex, []), flooded.get(link.ifindex, []), ports.get(link.ifindex, []))
        for link in links
        if not link.loopback
    )


def link_state(
    raw: RawLink, names: Mapping[int, str], on: list[Address], flooded: list[IPAddress], ports: list[RawLink]
) -> LinkState:
    """One link."""
    static = in_order(one.interface for one in on if not one.lease)
    config = config_of(raw, names, flooded, ports)
    return LinkState(
        name=raw.name,
        index=raw.ifindex,
        kind=raw.kind,
        mac=raw.mac,
        permanent_mac=raw.permanent_mac,
        carrier=raw.carrier,
        up=raw.up,
        mtu=raw.mtu,
        upper=names.get(raw.upper),
        addresses=static,
        leases=tuple(one.interface for one in on if one.lease),
        duplicates=tuple(one.interface for one in on if one.duplicate),
        config=config and config.model_copy(update={"up": raw.up, "mtu": desirable(raw.mtu), "addresses": static}),
        bond=bond_state(raw, ports) if raw.kind == "bond" else None,
    )


def desirable(mtu: int) -> int | None:
    """None for one that nobody can desire, such as a VRF's 65575."""
    return mtu if MTUS[0] <= mtu <= MTUS[1] else None


def config_of(raw: RawLink, names: Mapping[int, str], flooded: list[IPAddress], ports: list[RawLink]) -> Link | None:
    """The link in the words in which one is desired; None for kinds that nobody can desire."""
    data, name, own_mac = raw.data, raw.name, raw.mac or None
    below = tuple(sorted(port.name for port in ports))
    made: Link | None = None
    match raw.kind:
        case kind if kind in NICS:
            found = raw.permanent_mac or raw.mac
            made = Ethernet.model_construct(name=name, mac=found) if len(found) == MAC_LETTERS else None
        case "bond":
            made = bond(raw, names, below)
        case "vlan" if raw.parent in names:
            protocol = PROTOCOL_BY_NUMBER[BE16.unpack(data[VLAN_PROTOCOL])[0]]
            tag = number(data.get(VLAN_ID))
            made = Vlan.model_construct(
                name=name, mac=own_mac, parent=names[raw.parent], vlan_id=tag, protocol=protocol
            )
        case "vxlan":
            made = vxlan(raw, names, flooded)
        case "vrf":
            made = Vrf.model_construct(name=name, mac=own_mac, table=number(data.get(VRF_TABLE)), ports=below)
        case "bridge":
            made = Bridge.model_construct(name=name, mac=own_mac, ports=below, stp=bool(number(data.get(BRIDGE_STP))))
        case "macvlan" if raw.parent in names and number(data.get(MACVLAN_MODE)) in MACVLAN_BY_NUMBER:
            mode = MACVLAN_BY_NUMBER[number(data.get(MACVLAN_MODE))]
            made = Macvlan.model_construct(name=name, mac=own_mac, parent=names[raw.parent], mode=mode)
    return made


def bond(raw: RawLink, names: Mapping[int, str], ports: tuple[str, ...]) -> Bond:
    """A bond; only the options that its mode knows."""
    data, mode = raw.data, BOND_MODES[number(raw.data.get(BOND_MODE))]
    lacp = mode is BondMode.LACP
    hashes = mode in (BondMode.LACP, BondMode.BALANCE_XOR, BondMode.BALANCE_TLB)
    return Bond.model_construct(
        name=raw.name,
        mac=raw.mac,
        mode=mode,
        ports=ports,
        miimon_ms=number(data.get(BOND_MIIMON)),
        lacp_rate=LACP_RATES[number(data.get(BOND_LACP_RATE))] if lacp else None,
        hash_policy=HASH_POLICIES[number(data.get(BOND_HASH))] if hashes else None,
        primary=names.get(number(data.get(BOND_PRIMARY))),
        min_links=number(data.get(BOND_MIN_LINKS)) if lacp else None,
    )


def vxlan(raw: RawLink, names: Mapping[int, str], flooded: list[IPAddress]) -> Vxlan | None:
    """A VXLAN; one without an address of its own is none of ours."""
    local = raw.data.get(VXLAN_LOCAL) or raw.data.get(VXLAN_LOCAL6)
    if not local:
        return None
    return Vxlan.model_construct(
        name=raw.name,
        mac=raw.mac,
        vni=number(raw.data.get(VXLAN_ID)),
        local=address(local),
        port=BE16.unpack(raw.data[VXLAN_PORT])[0],
        parent=names.get(number(raw.data.get(VXLAN_LINK))),
        remotes=in_order(flooded),
    )


def bond_state(raw: RawLink, ports: list[RawLink]) -> BondState:
    """How a bond's legs are, and who is at their other end."""
    active = number(raw.data.get(BOND_ACTIVE))
    partner = attributes(raw.data[BOND_AD_INFO], 0).get(AD_PARTNER_MAC) if BOND_AD_INFO in raw.data else None
    return BondState(
        ports=tuple(
            BondPort(
                name=port.name,
                link_up=number(port.port.get(PORT_MII)) == 0,
                active=port.ifindex == active if active else number(port.port.get(PORT_STATE)) == 0,
                aggregator=number(port.port[PORT_AGGREGATOR]) if PORT_AGGREGATOR in port.port else None,
                actor_state=number(port.port[PORT_ACTOR]) if PORT_ACTOR in port.port else None,
                partner_state=number(port.port[PORT_PARTNER]) if PORT_PARTNER in port.port else None,
            )
            for port in sorted(ports, key=lambda port: port.name)
        ),
        partner_mac=mac(partner) if partner else None,
    )
