# SPDX-License-Identifier: Apache-2.0
"""The door to links, addresses, routes and rules, in network namespaces of the tests' own.

Our bytes are read by pyroute2 (an implementation that is not ours), and the kernel's word is what counts.
"""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from agent.errors import HostError
from agent.host.netlink import RealNetlink
from agent.host.network_doors import KernelStep
from agent.host.rtnetlink import link as links
from agent.host.rtnetlink.message import messages
from agent.host.rtnetlink.route import change_route, change_rule
from agent.host.rtnetlink.tables import Memory
from agent.model.network import Bond, Bridge, Link, Macvlan, Route, Rule, Vlan, Vrf, Vxlan
from agent.model.network.step import (
    AddAddress,
    AddRemote,
    AddRule,
    CreateLink,
    DeleteLink,
    RemoveAddress,
    RemoveRemote,
    RemoveRoute,
    RemoveRule,
    SetLink,
    SetRoute,
    SetUpper,
)
from tests.host.namespace import in_new_network

UP = (SetLink(name="one", up=True), SetLink(name="two", up=True))
INDEXES = {"one": 7, "two": 8}


def told(kind: type[Any], request: bytes) -> dict[str, Any]:
    """A message as pyroute2 understands it, attributes by name."""
    message = kind(request)
    message.decode()
    return {"message": message, **dict(message["attrs"])}


@pytest.mark.parametrize(
    ("link", "options"),
    [
        (
            Vlan(name="v", parent="one", vlan_id=5, protocol="802.1ad"),
            {"IFLA_VLAN_ID": 5, "IFLA_VLAN_PROTOCOL": 0x88A8},
        ),
        (Macvlan(name="m", parent="one", mode="bridge"), {"IFLA_MACVLAN_MODE": "bridge"}),
        (Vrf(name="r", table=1001), {"IFLA_VRF_TABLE": 1001}),
        (
            Vxlan(name="x", vni=9, local=ip_address("192.0.2.1"), parent="two"),
            {"IFLA_VXLAN_ID": 9, "IFLA_VXLAN_LOCAL": "192.0.2.1", "IFLA_VXLAN_PORT": 4789, "IFLA_VXLAN_LINK": 8},
        ),
        (
            Bond(name="o", mode="802.3ad", ports=("one",), miimon_ms=100, lacp_rate="fast", hash_policy="layer3+4"),
            {
                "IFLA_BOND_MODE": 4,
                "IFLA_BOND_MIIMON": 100,
                "IFLA_BOND_AD_LACP_RATE": 1,
                "IFLA_BOND_XMIT_HASH_POLICY": 1,
            },
        ),
        (
            Bond(name="o", mode="active-backup", ports=("one", "two"), primary="two"),
            {"IFLA_BOND_MODE": 1, "IFLA_BOND_PRIMARY": 8},
        ),
        (Bridge(name="b", stp=True), {"IFLA_BR_STP_STATE": 1}),
    ],
)
def test_links_in_bytes(link: Link, options: dict[str, Any]) -> None:
    """Every kind of link, with its options by the names and numbers that others know."""
    found = told(ifinfmsg, links.create(link, INDEXES).request)
    info = dict(found["IFLA_LINKINFO"]["attrs"])

    assert found["IFLA_IFNAME"] == link.name and info["IFLA_INFO_KIND"] == link.kind
    assert options.items() <= dict(info["IFLA_INFO_DATA"]["attrs"]).items()


def test_routes_and_rules_in_bytes() -> None:
    """A route in a table above 255, through a gateway that no address reaches; a rule with all its selectors."""
    route = Route(destination="198.51.100.0/24", link="one", gateway="192.0.2.1", table=1001, metric=7, onlink=True,
                  source="192.0.2.9")  # fmt: skip
    found = told(rtmsg, change_route(7, route, add=True).request)
    assert (found["RTA_DST"], found["RTA_GATEWAY"], found["RTA_OIF"]) == ("198.51.100.0", "192.0.2.1", 7)
    assert (found["RTA_TABLE"], found["RTA_PRIORITY"], found["RTA_PREFSRC"]) == (1001, 7, "192.0.2.9")
    assert found["message"]["dst_len"] == 24 and found["message"]["flags"] == 4

    rule = Rule(priority=100, table=1001, source="192.0.2.9/32", in_link="one", mark=5)
    found = told(fibmsg, change_rule(rule, add=True).request)
    assert (found["FRA_SRC"], found["FRA_PRIORITY"], found["FRA_TABLE"]) == ("192.0.2.9", 100, 1001)
    assert (found["FRA_IIFNAME"], found["FRA_FWMARK"], found["message"]["src_len"]) == ("one", 5, 32)


def test_what_was_said_before_is_not_read_again() -> None:
    """The same bytes give the same object, without a look; what is not said any more is forgotten."""
    looked: list[bytes] = []
    memory = Memory(lambda body: looked.append(body) or body)  # type: ignore[func-returns-value]
    one, two = (b"\x14\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0" + body for body in (b"aaaa", b"bbbb"))

    assert memory.parsed(one + two, 16) == memory.parsed(one + two, 16) == [b"aaaa", b"bbbb"]
    assert memory.parsed(one, 16) == [b"aaaa"] and looked == [b"aaaa", b"bbbb"]
    assert memory.parsed(two, 16) == [b"bbbb"] and looked[-1] == b"bbbb" and len(looked) == 3


def test_bytes_that_lie() -> None:
    """A length of less than a header ends the reading; it does not go on for ever."""
    assert list(messages(b"\0" * 64)) == []


def cable() -> RealNetlink:
    """Two links, joined."""
    with IPRoute() as route:
        route.link("add", ifname="one", kind="veth", peer={"ifname": "two"})
    return RealNetlink()


def ip(*words: str) -> Any:
    """What ip(8) says."""
    return json.loads(subprocess.run(["ip", "-j", *words], check=True, capture_output=True).stdout or "[]")


@pytest.mark.root
def test_kernel_obeys_and_tells() -> None:
    """Links, addresses, routes, rules of both versions are set in the kernel, told back, and set again."""
    steps = (
        CreateLink(link=Macvlan(name="m", parent="one", mac="02:00:00:00:00:05", mtu=1400)),
        CreateLink(link=Bridge(name="b", stp=False)),
        CreateLink(link=Vxlan(name="x", vni=5, local=ip_address("192.0.2.10"))),
    )
    again = (
        *UP,
        SetLink(name="m", up=True),
        SetUpper(name="x", upper="b"),
        AddAddress(name="m", address=ip_interface("192.0.2.10/24")),
        AddAddress(name="m", address=ip_interface("2001:db8::5/64")),
        AddRemote(name="x", remote=ip_address("192.0.2.20")),
        SetRoute(route=Route(destination="0.0.0.0/0", link="m", gateway="192.0.2.1", table=1001)),
        SetRoute(route=Route(destination="198.51.100.0/24", type="blackhole")),
        SetRoute(route=Route(destination="2001:db8:1::/48", link="m", gateway="2001:db8::1")),
        AddRule(rule=Rule(priority=100, table=1001, source="192.0.2.10/32")),
        AddRule(rule=Rule(priority=100, table=1001, version=6, mark=1)),
    )

    def work() -> None:
        door = cable()
        door.change(steps)
        for _ in range(2):
            door.change(again)
        told = door.tables()
        named = {link.name: link for link in told.links}
        assert named["m"].config == steps[0].link.model_copy(
            update={"addresses": (ip_interface("192.0.2.10/24"), ip_interface("2001:db8::5/64"))}
        )
        assert (named["x"].upper, named["x"].config.remotes) == ("b", (ip_address("192.0.2.20"),))  # type: ignore[union-attr]
        assert set(told.routes) == {step.route for step in again if isinstance(step, SetRoute)}
        assert set(told.rules) == {step.rule for step in again if isinstance(step, AddRule)}
        assert ip("route", "show", "table", "1001")[0]["gateway"] == "192.0.2.1"
        undone: tuple[KernelStep, ...] = (
            *(RemoveRule(rule=rule) for rule in told.rules),
            *(RemoveRoute(route=route) for route in told.routes),
            RemoveRemote(name="x", remote=ip_address("192.0.2.20")),
            RemoveAddress(name="m", address=ip_interface("192.0.2.10/24")),
            SetUpper(name="x"),
        )
        for _ in range(2):
            door.change(undone)
        door.change((DeleteLink(name="m"), DeleteLink(name="b"), DeleteLink(name="x")))
        left = door.tables()
        assert ({link.name for link in left.links}, left.routes, left.rules) == ({"one", "two"}, (), ())

    in_new_network(work)


@pytest.mark.root
def test_nothing_new_is_the_same_object() -> None:
    """A look at what has not changed costs no reading: it is the object of the last look."""

    def work() -> bool:
        door = cable()
        return door.tables() is door.tables()

    assert in_new_network(work)


@pytest.mark.root
def test_leases_are_apart() -> None:
    """An address with an end, and a route of a DHCP client's, are told as leases: they are not ours to remove."""

    def work() -> None:
        door = cable()
        door.change(UP)
        ip("address", "add", "192.0.2.5/24", "dev", "one", "valid_lft", "3600", "preferred_lft", "3600")
        ip("route", "add", "default", "via", "192.0.2.1", "dev", "one", "proto", "dhcp", "metric", "100")
        told = door.tables()
        one = next(link for link in told.links if link.name == "one")
        assert (one.addresses, one.leases) == ((), (ip_interface("192.0.2.5/24"),))
        assert told.routes == () and [str(route.gateway) for route in told.leased_routes] == ["192.0.2.1"]

    in_new_network(work)


@pytest.mark.root
def test_a_thousand_at_once() -> None:
    """A batch is larger than a socket's buffer: everything is acknowledged, and told back whole."""
    wanted = [Macvlan(name=f"m{number}", parent="one") for number in range(1000)]

    def work() -> int:
        door = cable()
        door.change([CreateLink(link=link) for link in wanted])
        return len(door.tables().links)

    assert in_new_network(work) == 1002


@pytest.mark.root
def test_changes_are_heard() -> None:
    """A change is news once, whoever makes it; silence is none."""

    def work() -> tuple[bool, bool, bool]:
        door = cable()
        with door.watching() as watch:
            silence = watch.wait(0.05)
            ip("link", "set", "dev", "one", "up")
            return silence, watch.wait(2), watch.wait(0.3) and watch.wait(0.3)

    assert in_new_network(work) == (False, True, False)


@pytest.mark.root
def test_refusals_say_what_was_being_done() -> None:
    """What the kernel refuses is a `HostError` that names the change, in the kernel's own words."""

    def work() -> None:
        door = cable()
        door.change(UP)
        with pytest.raises(HostError, match=r"route to 0\.0\.0\.0/0 in table 254 through 192\.0\.2\.1: .*unreachable"):
            door.change((SetRoute(route=Route(destination="0.0.0.0/0", link="one", gateway="192.0.2.1")),))
        with pytest.raises(HostError, match="creating macvlan one: File exists"):
            door.change((CreateLink(link=Macvlan(name="one", parent="two")),))
        with pytest.raises(HostError, match="there is no link of that name"):
            door.change((SetLink(name="three", up=True),))

    in_new_network(work)


@pytest.mark.root
def test_nothing_leaks() -> None:
    """A thousand looks must not run out of file descriptors: a call leaves none behind."""

    def work() -> tuple[int, int]:
        door = RealNetlink()
        door.tables()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            door.tables()
        return before, len(list(Path("/proc/self/fd").iterdir()))

    before, after = in_new_network(work)
    assert after <= before
