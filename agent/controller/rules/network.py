# SPDX-License-Identifier: Apache-2.0
"""A server's network: which NIC is attached to which subnet, and how its agent and cloud-init are told."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from agent.controller.records.catalogue import Subnet
from agent.controller.records.server import Port
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.network import Method, NetworkConfig, Nic, NicConfig

EVERYTHING = str(IPv4Address(0))


def choose_nics(inventory: Inventory, boot_mac: str, count: int) -> tuple[str, ...]:
    """MACs for that many attachments. The NIC that the machine boots by is the primary one, for it is known to be
    connected; then those with a carrier, in the order of the PCI bus."""

    def rank(nic: Nic) -> tuple[bool, bool, str, str]:
        return nic.mac != boot_mac, known(nic.carrier) is not True, known(nic.pci_address) or "~", nic.name

    nics = () if isinstance(inventory.nics, Unknown) else inventory.nics
    return tuple(nic.mac for nic in sorted(nics, key=rank)[:count])


def network_config(ports: tuple[tuple[Port, Subnet], ...]) -> NetworkConfig:
    """For our agent: the NICs in their order; the primary one alone has a gateway."""
    return NetworkConfig(nics=tuple(_nic(port, subnet) for port, subnet in ports))


def _nic(port: Port, subnet: Subnet) -> NicConfig:
    static = port.address is not None
    return NicConfig(
        mac=port.mac,
        method=Method.STATIC if static else Method.DHCP,
        address=IPv4Interface(f"{port.address}/{subnet.cidr.prefixlen}") if static else None,
        gateway=subnet.gateway if static and port.position == 0 else None,
        mtu=subnet.mtu,
        dns=subnet.dns if static else (),
        port_id=port.id,
    )


def network_data(ports: tuple[tuple[Port, Subnet], ...]) -> dict[str, Any]:
    """For cloud-init: OpenStack's network_data.json (nova, "Network metadata")."""
    servers = dict.fromkeys(str(address) for port, subnet in ports if port.address for address in subnet.dns)
    return {
        "links": [_link(port, subnet) for port, subnet in ports],
        "networks": [_network(port, subnet) for port, subnet in ports],
        "services": [{"type": "dns", "address": address} for address in servers],
    }


def _link(port: Port, subnet: Subnet) -> dict[str, Any]:
    return {
        "id": f"interface{port.position}",
        "type": "phy",
        "ethernet_mac_address": port.mac,
        "mtu": subnet.mtu,
        "vif_id": port.id,
    }


def _network(port: Port, subnet: Subnet) -> dict[str, Any]:
    network = {
        "id": f"network{port.position}",
        "link": f"interface{port.position}",
        "network_id": subnet.id,
    }
    if port.address is None:
        return network | {"type": "ipv4_dhcp"}
    default = {"network": EVERYTHING, "netmask": EVERYTHING, "gateway": str(subnet.gateway)}
    return network | {
        "type": "ipv4",
        "ip_address": port.address,
        "netmask": str(subnet.cidr.netmask),
        "routes": [default] if port.position == 0 else [],
        "services": [{"type": "dns", "address": str(address)} for address in subnet.dns],
    }
