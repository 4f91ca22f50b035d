# SPDX-License-Identifier: Apache-2.0
"""Addresses: reserved ones are never given out, the lowest free one is, and conflicts have the cloud's codes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.controller.refusal import AddressesExhausted, AddressTaken, BadParameter
from agent.controller.rules.addresses import allocate, check_subnet, default_gateway, reserved
from tests.controller.world import World

NET = IPv4Network("10.1.0.0/24")
GATEWAY = IPv4Address("10.1.0.1")


def ip(text: str) -> IPv4Address:
    """An address."""
    return IPv4Address(text)


def test_the_reserved_ones_of_a_24() -> None:
    """Network, gateway, system, DHCP and broadcast: .0, .1, .253, .254, .255."""
    assert [str(address).split(".")[-1] for address in sorted(reserved(NET, GATEWAY))] == [
        "0",
        "1",
        "253",
        "254",
        "255",
    ]


def test_a_29_has_three_addresses_for_servers() -> None:
    """The smallest subnet still has some, and then says that none is left."""
    net, gateway, taken = IPv4Network("10.1.0.8/29"), ip("10.1.0.9"), set[IPv4Address]()
    for _ in range(3):
        taken.add(allocate(net, gateway, taken))

    assert sorted(map(str, taken)) == ["10.1.0.10", "10.1.0.11", "10.1.0.12"]
    with pytest.raises(AddressesExhausted, match="all 3 are taken"):
        allocate(net, gateway, taken)


def test_the_lowest_free_address_is_taken() -> None:
    """A gap is filled first."""
    assert allocate(NET, GATEWAY, {ip("10.1.0.2"), ip("10.1.0.4")}) == ip("10.1.0.3")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("10.1.0.0", "reserved for the network"),
        ("10.1.0.1", "reserved for the gateway"),
        ("10.1.0.253", "reserved for the system"),
        ("10.1.0.254", "reserved for DHCP"),
        ("10.1.0.255", "reserved for broadcast"),
        ("10.1.0.9", "another NIC has it"),
        ("10.2.0.5", "is not in"),
    ],
)
def test_an_address_that_cannot_be_had(wanted: str, reason: str) -> None:
    """It is refused as a conflict, with the reason."""
    with pytest.raises(AddressTaken, match=reason) as refused:
        allocate(NET, GATEWAY, {ip("10.1.0.9")}, ip(wanted))

    assert refused.value.code == "BMS.0014"


@given(st.data())
def test_allocation(data: st.DataObject) -> None:
    """Whatever is taken: what is given out is free, in the subnet and not reserved; and only a full subnet says no."""
    prefix = data.draw(st.integers(25, 29))
    net = IPv4Network((0x0A010000, prefix))
    gateway = data.draw(st.sampled_from(list(net.hosts())))
    taken = data.draw(st.sets(st.sampled_from(list(net))))
    kept = reserved(net, gateway)
    free = set(net) - set(kept) - taken
    try:
        address = allocate(net, gateway, taken)
    except AddressesExhausted:
        assert not free
    else:
        assert address == min(free)


@pytest.mark.parametrize(
    ("cidr", "gateway", "reason"),
    [
        ("10.1.0.0/30", "10.1.0.1", "prefix"),
        ("192.168.0.0/24", "192.168.0.1", "not within the VPC"),
        ("10.9.0.0/25", "10.9.0.1", "overlaps with 10.9.0.0/24"),
        ("10.1.0.0/24", "10.1.0.255", "not an address for hosts"),
        ("10.1.0.0/24", "10.2.0.1", "not an address for hosts"),
    ],
)
def test_a_subnet_that_cannot_be(cidr: str, gateway: str, reason: str) -> None:
    """It is refused with the reason."""
    with pytest.raises(BadParameter, match=reason):
        check_subnet(IPv4Network(cidr), ip(gateway), IPv4Network("10.0.0.0/8"), [IPv4Network("10.9.0.0/24")])


def test_a_subnet_that_can_be() -> None:
    """One beside another is fine, with its first address as the gateway."""
    check_subnet(NET, default_gateway(NET), IPv4Network("10.0.0.0/8"), [IPv4Network("10.2.0.0/24")])


@pytest.mark.parametrize("number", [False, True, 0, 167772160])
def test_a_number_is_no_network(world: World, number: int) -> None:
    """Though Python makes one of it; nor is it an address."""
    routes = [{"destination": number, "next_hop": "10.1.0.9"}]
    rule = {"direction": "in", "remote": number}

    assert world.refused("POST", "/v1/security-groups/none/rules", rule)[0] == 422
    assert world.refused("PATCH", "/v1/subnets/net", {"dns": [number]})[0] == 422
    assert world.refused("PATCH", "/v1/subnets/net", {"routes": routes})[0] == 422
    assert world.refused("POST", "/v1/vpcs", {"name": "v", "cidr": number})[0] == 422
