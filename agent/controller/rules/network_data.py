# SPDX-License-Identifier: Apache-2.0
"""A server's network as cloud-init is told: OpenStack's network_data.json (nova, "Network metadata").

It says what the agent is told, as far as that format goes: it knows no VRF, so only the primary port's VPC has routes,
and no vxlan. cloud-init would call a VLAN by a name of its own, and the kernel has none twice: where our agent is sure
to be in the image, VLANs are left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface
from typing import Any

from agent.model.network import Bond, Ethernet, Link, NetworkConfig, Route, Vlan
from agent.model.network.values import MAIN_TABLE


def network_data(config: NetworkConfig, subnets: Mapping[str, str], *, vlans: bool) -> dict[str, Any]:
    """`subnets` has the subnet (id) of each port (id)."""
    told = [link for link in config.links if isinstance(link, Ethernet | Bond) or (vlans and isinstance(link, Vlan))]
    networks = [
        _network(config, link, f"network{place}", subnets[link.port_id])
        for place, link in enumerate(link for link in told if link.port_id)
        if link.port_id
    ]
    return {
        "links": [_link(link) for link in told],
        "networks": networks,
        "services": _services(config),
    }


def _link(link: Link) -> dict[str, Any]:
    mac = {"ethernet_mac_address": link.mac, "mtu": link.mtu, "vif_id": link.port_id}
    match link:
        case Bond():
            kind = {"type": "bond", "bond_links": list(link.ports), **_bonding(link)}
        case Vlan():
            kind = {
                "type": "vlan",
                "vlan_link": link.parent,
                "vlan_id": link.vlan_id,
                "vlan_mac_address": link.mac,
            }
        case _:
            kind = {"type": "phy"}
    return {"id": link.name, **kind, **mac}


def _bonding(bond: Bond) -> dict[str, Any]:
    """Its mode is a text in that format."""
    options = {
        "bond_mode": bond.mode.value,
        "bond_miimon": bond.miimon_ms,
        "bond_lacp_rate": bond.lacp_rate and bond.lacp_rate.value,
        "bond_xmit_hash_policy": bond.hash_policy and bond.hash_policy.value,
    }
    return {name: value for name, value in options.items() if value is not None}


def _network(config: NetworkConfig, link: Link, name: str, subnet: str) -> dict[str, Any]:
    network = {"id": name, "link": link.name, "network_id": subnet}
    address = next((one for one in link.addresses or () if isinstance(one, IPv4Interface)), None)
    if address is None:
        return network | {"type": "ipv4_dhcp"}
    return network | {
        "type": "ipv4",
        "ip_address": str(address.ip),
        "netmask": str(address.netmask),
        "routes": list(_routes(config, link)),
        "services": _services(config),
    }


def _routes(config: NetworkConfig, link: Link) -> Iterator[dict[str, str]]:
    for route in config.routes or ():
        if route.link == link.name and route.table == MAIN_TABLE:
            yield _route(route)


def _route(route: Route) -> dict[str, str]:
    return {
        "network": str(route.destination.network_address),
        "netmask": str(route.destination.netmask),
        "gateway": str(route.gateway),
    }


def _services(config: NetworkConfig) -> list[dict[str, str]]:
    return [{"type": "dns", "address": str(server)} for server in (config.dns.servers if config.dns else ())]
