# SPDX-License-Identifier: Apache-2.0
"""Addresses of a subnet: which are reserved, which is next; and where its routes lead."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network

from agent.controller.records.network import SubnetRoute
from agent.controller.refusal import AddressesExhausted, AddressTaken, BadParameter

SMALLEST_PREFIX = 29
LARGEST_PREFIX = 8


def default_gateway(cidr: IPv4Network) -> IPv4Address:
    """The first address."""
    return cidr.network_address + 1


def reserved(cidr: IPv4Network, gateway: IPv4Address) -> dict[IPv4Address, str]:
    """Addresses that no server gets, and what for. In a /24: .0, the gateway (.1), .253, .254, .255."""
    last = cidr.broadcast_address
    return {
        cidr.network_address: "the network",
        last - 2: "the system",
        last - 1: "DHCP",
        last: "broadcast",
        gateway: "the gateway",
    }


def check_subnet(cidr: IPv4Network, gateway: IPv4Address, vpc: IPv4Network, siblings: Collection[IPv4Network]) -> None:
    """Raises `BadParameter` if a subnet like this cannot be part of its VPC."""
    doing = f"creating subnet {cidr}"
    if not LARGEST_PREFIX <= cidr.prefixlen <= SMALLEST_PREFIX:
        raise BadParameter(doing, f"cidr: the prefix must be /{LARGEST_PREFIX} to /{SMALLEST_PREFIX}")
    if not cidr.subnet_of(vpc):
        raise BadParameter(doing, f"cidr: it is not within the VPC's {vpc}")
    overlap = next((sibling for sibling in siblings if sibling.overlaps(cidr)), None)
    if overlap is not None:
        raise BadParameter(doing, f"cidr: it overlaps with {overlap} of the same VPC")
    if gateway not in cidr or gateway in (cidr.network_address, cidr.broadcast_address):
        raise BadParameter(doing, f"gateway: {gateway} is not an address for hosts in it")


def check_routes(cidr: IPv4Network, routes: Collection[SubnetRoute], doing: str) -> None:
    """Raises `BadParameter` if a route is no way out of the subnet."""
    seen: set[IPv4Network] = set()
    for place, route in enumerate(routes):
        hop = route.next_hop
        if hop not in cidr or hop in (cidr.network_address, cidr.broadcast_address):
            raise BadParameter(doing, f"routes.{place}.next_hop: {hop} is not an address for hosts in {cidr}")
        if route.destination.prefixlen == 0:
            raise BadParameter(doing, f"routes.{place}.destination: to everywhere leads the gateway")
        if route.destination.subnet_of(cidr):
            raise BadParameter(doing, f"routes.{place}.destination: {route.destination} is within {cidr} itself")
        if route.destination in seen:
            raise BadParameter(doing, f"routes.{place}.destination: a second route to {route.destination}")
        seen.add(route.destination)


def allocate(
    cidr: IPv4Network, gateway: IPv4Address, taken: Collection[IPv4Address], wanted: IPv4Address | None = None
) -> IPv4Address:
    """The address wanted, or the lowest free one. Raises `AddressTaken`, `AddressesExhausted`."""
    kept = reserved(cidr, gateway)
    if wanted is not None:
        return _granted(wanted, cidr, kept, taken)
    used = kept.keys() | set(taken)
    free = next((address for address in cidr if address not in used), None)
    if free is None:
        raise AddressesExhausted(f"taking an address of {cidr}", f"all {cidr.num_addresses - len(kept)} are taken")
    return free


def _granted(
    wanted: IPv4Address, cidr: IPv4Network, kept: dict[IPv4Address, str], taken: Collection[IPv4Address]
) -> IPv4Address:
    doing = f"taking address {wanted}"
    if wanted not in cidr:
        raise AddressTaken(doing, f"it is not in {cidr}")
    if wanted in kept:
        raise AddressTaken(doing, f"it is reserved for {kept[wanted]}")
    if wanted in taken:
        raise AddressTaken(doing, "another NIC has it")
    return wanted
