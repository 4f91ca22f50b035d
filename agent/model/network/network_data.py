# SPDX-License-Identifier: Apache-2.0
"""OpenStack's network_data.json, translated into our model. Pure.

Source: nova's "Network metadata" and its JSON schema; and what clouds really send: `bond_mode` is a text that may be a
number, a bond takes the MAC that is given and not a port's, VLANs have MACs of their own, `mtu` may be null, links are
of types that only their hypervisor knows ("cascading", "tap", …) and mean a NIC, a gateway may be missing, or stand
beside `routes`.
"""

from __future__ import annotations

import re
from ipaddress import ip_interface, ip_network
from typing import Any, Literal

from pydantic import Field, ValidationError

from agent.errors import DecodeError
from agent.model.frozen import Reply, decode, faults
from agent.model.network.config import NetworkConfig
from agent.model.network.link import Bond, BondMode, Ethernet, HashPolicy, LacpRate, Link, Vlan
from agent.model.network.route import Dns, Route
from agent.model.network.routing import answered_from
from agent.model.network.values import DEFAULT_V4, DEFAULT_V6, NAME_PATTERN, IPAddress, IPInterface

DOING = "reading network_data.json"
FIRST_TABLE, FIRST_PRIORITY = 100, 1000
"""Routing tables of NICs that are not the primary one, and the rules that lead to them."""


class LinkData(Reply):
    """An entry of `links`."""

    id: str
    name: str | None = None
    type: str
    ethernet_mac_address: str | None = None
    mtu: int | None = None
    bond_links: tuple[str, ...] = ()
    bond_mode: str | int = "1"
    bond_miimon: int | None = None
    bond_xmit_hash_policy: str | None = None
    bond_lacp_rate: str | None = None
    vlan_link: str | None = None
    vlan_id: int | None = None
    vlan_mac_address: str | None = None
    vif_id: str | None = None


class RouteData(Reply):
    """An entry of a network's `routes`."""

    network: str
    netmask: str | None = None
    gateway: IPAddress | None = None


class ServiceData(Reply):
    """An entry of `services`."""

    type: str
    address: IPAddress


class NetworkData(Reply):
    """An entry of `networks`."""

    id: str = ""
    link: str
    type: Literal[
        "ipv4", "ipv4_dhcp", "ipv6", "ipv6_dhcp", "ipv6_slaac", "ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful"
    ]
    ip_address: str | None = None
    netmask: str | None = None
    gateway: IPAddress | None = None
    routes: tuple[RouteData, ...] = ()
    services: tuple[ServiceData, ...] = ()


class Document(Reply):
    """The file."""

    links: tuple[LinkData, ...]
    networks: tuple[NetworkData, ...] = ()
    services: tuple[ServiceData, ...] = ()
    search: tuple[str, ...] = Field(default=(), description="not OpenStack's: some clouds add it")


def network_config(text: str | bytes) -> NetworkConfig:
    """Raises `DecodeError` that names each wrong field."""
    document = decode(Document, text, DOING)
    names = names_of(document)
    try:
        links = tuple(
            link_of(place, link, names, [one for one in document.networks if one.link == link.id])
            for place, link in enumerate(document.links)
        )
        routes, rules = routing_of(document, names)
        servers = dict.fromkeys(
            service.address
            for service in (*document.services, *(one for network in document.networks for one in network.services))
            if service.type == "dns"
        )
        return NetworkConfig(
            links=links, routes=routes, rules=rules, dns=Dns(servers=tuple(servers), search=document.search)
        )
    except ValidationError as error:
        raise DecodeError(DOING, faults(error)) from None


def names_of(document: Document) -> dict[str, str]:
    """Id → name. A bond without one is bond0, bond1 …; a VLAN is its bond's name with its tag."""
    names: dict[str, str] = {}
    bonds = 0
    for place, link in enumerate(document.links):
        if link.type == "bond":
            names[link.id] = link.name or f"bond{bonds}"
            bonds += 1
        elif link.type != "vlan":
            names[link.id] = fitting(link.name or link.id, f"nic{place}")
    for place, link in enumerate(document.links):
        if link.type == "vlan":
            parent = names.get(link.vlan_link or "")
            if parent is None:
                raise DecodeError(DOING, f"links.{place}.vlan_link: {link.vlan_link} is no link")
            names[link.id] = fitting(link.name or f"{parent}.{link.vlan_id}", f"vlan{link.vlan_id}")
    for place, network in enumerate(document.networks):
        if network.link not in names:
            raise DecodeError(DOING, f"networks.{place}.link: {network.link} is no link")
    return names


def fitting(name: str, otherwise: str) -> str:
    """A name that the kernel takes."""
    return name if re.fullmatch(NAME_PATTERN, name) else otherwise


def link_of(place: int, link: LinkData, names: dict[str, str], networks: list[NetworkData]) -> Link:
    """One link. Raises `DecodeError`, `ValidationError`."""
    kinds = {network.type for network in networks}
    settings: dict[str, Any] = {
        "name": names[link.id],
        "mtu": link.mtu,
        "addresses": tuple(interface_of(one) for one in networks if one.type in ("ipv4", "ipv6")),
        "dhcp4": "ipv4_dhcp" in kinds,
        "dhcp6": bool(kinds & {"ipv6_dhcp", "ipv6_dhcpv6-stateful"}),
        "accept_ra": bool(kinds & {"ipv6_slaac", "ipv6_dhcp", "ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful"}),
        "port_id": link.vif_id,
    }
    if link.type == "bond":
        return bond_of(place, link, names, settings)
    if link.type == "vlan":
        if link.vlan_id is None:
            raise DecodeError(DOING, f"links.{place}.vlan_id: it is missing")
        mac = link.vlan_mac_address or link.ethernet_mac_address
        return Vlan(**settings, mac=mac, parent=names[link.vlan_link or ""], vlan_id=link.vlan_id)
    if link.ethernet_mac_address is None:
        raise DecodeError(DOING, f"links.{place}.ethernet_mac_address: it is missing; NICs are found by it")
    if not networks:
        settings |= {"addresses": None, "dhcp4": None, "dhcp6": None, "accept_ra": None}
    return Ethernet(**settings, mac=link.ethernet_mac_address)


def bond_of(place: int, link: LinkData, names: dict[str, str], settings: dict[str, Any]) -> Bond:
    """A bond. Raises `DecodeError`."""
    unknown = next((port for port in link.bond_links if port not in names), None)
    if unknown is not None:
        raise DecodeError(DOING, f"links.{place}.bond_links: {unknown} is no link")
    mode = mode_of(place, str(link.bond_mode))
    policy, rate = link.bond_xmit_hash_policy, link.bond_lacp_rate
    try:
        return Bond(
            **settings,
            mac=link.ethernet_mac_address,
            mode=mode,
            ports=tuple(names[port] for port in link.bond_links),
            miimon_ms=link.bond_miimon,
            hash_policy=HashPolicy(policy) if policy and mode is not BondMode.ACTIVE_BACKUP else None,
            lacp_rate=LacpRate(rate) if rate and mode is BondMode.LACP else None,
        )
    except ValueError as error:
        raise DecodeError(DOING, f"links.{place}: {error}") from None


def mode_of(place: int, word: str) -> BondMode:
    """By its number or by its name. Raises `DecodeError`."""
    modes = tuple(BondMode)
    if word.isdigit() and int(word) < len(modes):
        return modes[int(word)]
    if word in {str(mode) for mode in modes}:
        return BondMode(word)
    raise DecodeError(DOING, f"links.{place}.bond_mode: {word} is no mode of bonding")


def interface_of(network: NetworkData) -> IPInterface:
    """Address and prefix, however they are spelt. Raises `DecodeError`."""
    try:
        if network.ip_address is None:
            raise ValueError("it is missing")
        if "/" in network.ip_address or network.netmask is None:
            return ip_interface(network.ip_address)
        return ip_interface(f"{network.ip_address}/{prefix_of(network.netmask)}")
    except ValueError as error:
        raise DecodeError(DOING, f"networks.{network.id}.ip_address: {error}") from None


def prefix_of(netmask: str) -> str:
    """A length, or a mask: IPv6 masks are spelt as addresses (ffff:ffff::)."""
    if ":" not in netmask:
        return netmask
    return str(bin(int(ip_interface(netmask).ip)).count("1"))


def routing_of(document: Document, names: dict[str, str]) -> tuple[tuple[Route, ...], tuple[Any, ...]]:
    """The primary network's gateway is everybody's; each other one with a gateway has a table of its own."""
    routes: dict[object, Route] = {}
    rules: list[Any] = []
    primary = document.networks[0].link if document.networks else None
    for place, network in enumerate(document.networks):
        link = names[network.link]
        gateway, others = gateways_of(network)
        if network.type not in ("ipv4", "ipv6"):
            gateway = None  # the lease says it
        for route in others:
            made = route.model_copy(update={"link": link})
            routes.setdefault(made.key, made)
        if gateway is not None and network.link == primary:
            everywhere = DEFAULT_V4 if gateway.version == 4 else DEFAULT_V6
            made = Route(destination=everywhere, link=link, gateway=gateway)
            routes.setdefault(made.key, made)
        elif gateway is not None:
            own, rule = answered_from(link, interface_of(network), gateway, FIRST_TABLE + place, FIRST_PRIORITY + place)
            routes.update({one.key: one for one in own})
            rules += rule
    return tuple(routes.values()), tuple(rules)


def gateways_of(network: NetworkData) -> tuple[IPAddress | None, list[Route]]:
    """(the way to everywhere, other routes). Raises `DecodeError`."""
    gateway, others = network.gateway, []
    for place, route in enumerate(network.routes):
        try:
            mask = f"/{prefix_of(route.netmask)}" if route.netmask is not None and "/" not in route.network else ""
            destination = ip_network(f"{route.network}{mask}")
        except ValueError as error:
            raise DecodeError(DOING, f"networks.{network.id}.routes.{place}: {error}") from None
        if destination.prefixlen == 0:
            gateway = route.gateway or gateway
        else:
            others.append(Route(destination=destination, gateway=route.gateway))
    return gateway, others
