# SPDX-License-Identifier: Apache-2.0
"""The netlink door: its reading of messages, and the real kernel in a namespace of the test's own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute

from agent.errors import HostError
from agent.host.doors import Link
from agent.host.netlink import RealNetlink, address_arguments, addresses_by_index, gateways_by_index, link_of
from tests.host.namespace import in_new_network

ADDRESS = IPv4Interface("192.0.2.10/24")
GATEWAY = IPv4Address("192.0.2.1")


class Message(dict[str, Any]):
    """A netlink message as pyroute2 gives it: header fields as items, the rest by `get_attr`."""

    def __init__(self, header: dict[str, Any], **attributes: Any) -> None:
        super().__init__(header)
        self._attributes = attributes

    def get_attr(self, name: str) -> Any:
        """An attribute, or None."""
        return self._attributes.get(name)


def test_permanent_mac_of_a_bonded_link() -> None:
    """A link that bears its bond's MAC is still known by its own, in lower case."""
    message = Message(
        {"index": 3, "flags": 0x1803},
        IFLA_IFNAME="eno1",
        IFLA_ADDRESS="02:00:00:00:00:AA",
        IFLA_PERM_ADDRESS="02:00:00:00:00:01",
        IFLA_CARRIER=1,
        IFLA_MTU=9000,
    )

    assert link_of(message, {3: [ADDRESS]}, {3: GATEWAY}) == Link(
        index=3,
        name="eno1",
        current_mac="02:00:00:00:00:aa",
        permanent_mac="02:00:00:00:00:01",
        up=True,
        carrier=True,
        mtu=9000,
        kind=None,
        addresses=(ADDRESS,),
        gateway=GATEWAY,
    )


def test_kind_and_bare_link() -> None:
    """A link without MAC, carrier or master is told as it is; its kind comes from its link info."""
    info = Message({}, IFLA_INFO_KIND="vlan")
    link = link_of(Message({"index": 9, "flags": 0}, IFLA_IFNAME="v", IFLA_LINKINFO=info), {}, {})

    assert (link.kind, link.up, link.carrier, link.permanent_mac, link.current_mac) == ("vlan", False, False, None, "")


def test_address_of_a_point_to_point_link() -> None:
    """On a point-to-point link our own address counts, not the peer's."""
    message = Message({"index": 2, "prefixlen": 32}, IFA_LOCAL="10.0.0.1", IFA_ADDRESS="10.0.0.2")

    assert addresses_by_index([message]) == {2: [IPv4Interface("10.0.0.1/32")]}


def test_default_route_with_the_lowest_metric() -> None:
    """Of two default routes through a link, the one that the kernel would take is told; multipath has no one link."""
    dhcp = Message({}, RTA_OIF=2, RTA_GATEWAY="10.0.0.1", RTA_PRIORITY=1024)
    ours = Message({}, RTA_OIF=2, RTA_GATEWAY="10.0.0.254")

    assert gateways_by_index([dhcp, ours, Message({}, RTA_MULTIPATH=[])]) == {2: IPv4Address("10.0.0.254")}


def test_broadcast_address() -> None:
    """A network has its broadcast address set, a point-to-point pair has none (RFC 3021)."""
    assert address_arguments(ADDRESS)["broadcast"] == "192.0.2.255"
    assert "broadcast" not in address_arguments(IPv4Interface("192.0.2.10/31"))


def cable() -> int:
    """Two links, joined; the index of the first."""
    with IPRoute() as route:
        route.link("add", ifname="one", kind="veth", peer={"ifname": "two"})
        route.link("set", index=route.link_lookup(ifname="two")[0], state="up")
        return int(route.link_lookup(ifname="one")[0])


def link(index: int) -> Link:
    """The link as the door tells it."""
    return next(each for each in RealNetlink().links() if each.index == index)


@pytest.mark.root
def test_kernel_obeys_and_tells() -> None:
    """Link, MTU, address and default route are set in the kernel, told back, and setting them again is no error."""

    def work() -> tuple[Link, Link]:
        door, index = RealNetlink(), cable()
        for _ in range(2):
            door.set_link(index, mtu=1400)
            door.add_address(index, ADDRESS)
            door.set_default_route(index, GATEWAY)
        before = link(index)
        for _ in range(2):
            door.remove_address(index, ADDRESS)
        return before, link(index)

    before, after = in_new_network(work)

    assert (before.up, before.carrier, before.mtu, before.kind) == (True, True, 1400, "veth")
    assert (before.addresses, before.gateway) == ((ADDRESS,), GATEWAY)
    assert (after.addresses, after.gateway) == ((), None)


@pytest.mark.root
def test_default_route_moves() -> None:
    """There is one default route of the best metric: setting it again puts it in the earlier one's place."""

    def work() -> tuple[Link, ...]:
        door, index = RealNetlink(), cable()
        door.set_link(index)
        door.add_address(index, ADDRESS)
        door.set_default_route(index, GATEWAY)
        door.set_default_route(index, IPv4Address("192.0.2.2"))
        with IPRoute() as route:
            assert len(list(route.get_default_routes(family=2))) == 1
        return door.links()

    assert [each.gateway for each in in_new_network(work) if each.gateway] == [IPv4Address("192.0.2.2")]


@pytest.mark.root
def test_refusals_say_what_was_being_done() -> None:
    """What the kernel refuses is a `HostError` that names the change."""

    def work() -> None:
        index = cable()
        with pytest.raises(HostError, match=f"default route to {GATEWAY} through link {index}: Net"):
            RealNetlink().set_default_route(index, GATEWAY)
        with pytest.raises(HostError, match="setting link 9999 up: No such device"):
            RealNetlink().set_link(9999)

    in_new_network(work)


@pytest.mark.root
def test_nothing_leaks() -> None:
    """A thousand heartbeats must not run out of file descriptors: a call leaves none behind."""

    def work() -> tuple[int, int]:
        door = RealNetlink()
        door.links()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            door.links()
        return before, len(list(Path("/proc/self/fd").iterdir()))

    before, after = in_new_network(work)
    assert after <= before
