# SPDX-License-Identifier: Apache-2.0
"""OpenStack's network_data.json, as clouds really send it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.model.network import Bond, BondMode, Ethernet, Vlan
from agent.model.network.network_data import network_config

BONDED: dict[str, Any] = {
    "services": [{"type": "dns", "address": "100.125.4.25"}, {"type": "dns", "address": "8.8.8.8"}],
    "networks": [
        {"network_id": "n0", "link": "interface0", "type": "ipv4_dhcp", "id": "network0", "gateway": "192.168.66.1"},
        {"network_id": "n1", "link": "interface1", "type": "ipv4_dhcp", "id": "network1", "gateway": "192.168.70.1"},
        {
            "network_id": "n2", "link": "interface2", "type": "ipv4", "id": "network2",
            "ip_address": "192.168.81.99", "netmask": "255.255.252.0", "routes": [],
        },
    ],
    "links": [
        {"type": "phy", "id": "eth0", "name": "eth0", "ethernet_mac_address": "2C:55:d3:9a:06:35", "mtu": 8888},
        {"type": "phy", "id": "eth1", "name": "eth1", "ethernet_mac_address": "2c:55:d3:9a:06:36", "mtu": 8888},
        {
            "type": "bond", "id": "interface0", "ethernet_mac_address": "fa:16:3e:3f:15:55",
            "bond_links": ["eth0", "eth1"], "bond_mode": "1", "bond_miimon": 100, "mtu": 8888,
        },
        {
            "type": "vlan", "id": "interface1", "vlan_link": "interface0", "vlan_id": 2315,
            "vlan_mac_address": "fa:16:3e:87:0b:67", "ethernet_mac_address": "fa:16:3e:87:0b:67", "mtu": 8888,
        },
        {
            "type": "vlan", "id": "interface2", "vlan_link": "interface0", "vlan_id": 3966,
            "vlan_mac_address": "fa:16:3e:fc:a9:28", "ethernet_mac_address": "fa:16:3e:fc:a9:28", "mtu": 8888,
        },
    ],
}  # fmt: skip


def changed(*path: str | int, to: Any) -> str:
    """The example with one thing otherwise."""
    document = json.loads(json.dumps(BONDED))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(document)


def test_bond_with_vlans() -> None:
    """The mode is a number in a text; bond and VLANs have the MACs that are given; ports are found by theirs."""
    config = network_config(json.dumps(BONDED))

    assert config.link("eth0") == Ethernet(name="eth0", mac="2c:55:d3:9a:06:35", mtu=8888)
    bond = config.link("bond0")
    assert isinstance(bond, Bond)
    assert (bond.mode, bond.ports, bond.mac) == (BondMode.ACTIVE_BACKUP, ("eth0", "eth1"), "fa:16:3e:3f:15:55")
    assert (bond.miimon_ms, bond.dhcp4, bond.mtu) == (100, True, 8888)
    vlan = config.link("bond0.3966")
    assert isinstance(vlan, Vlan) and (vlan.parent, vlan.mac) == ("bond0", "fa:16:3e:fc:a9:28")
    assert [str(one) for one in vlan.addresses or ()] == ["192.168.81.99/22"]
    assert config.dns is not None and [str(one) for one in config.dns.servers] == ["100.125.4.25", "8.8.8.8"]
    assert config.routes == () and config.rules == ()


def test_link_of_a_hypervisor() -> None:
    """A type that only its hypervisor knows is a NIC; an MTU of null is none."""
    tap = {"type": "cascading", "id": "tap68a9272d-71", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": None}
    network = {"link": tap["id"], "type": "ipv4_dhcp", "id": "network0"}
    config = network_config(json.dumps({"links": [tap], "networks": [network]}))

    assert config.link("tap68a9272d-71") == Ethernet(
        name="tap68a9272d-71", mac="fa:16:3e:00:00:01", addresses=(), dhcp4=True, dhcp6=False, accept_ra=False
    )


def test_gateways() -> None:
    """The primary network's gateway, beside or among its routes, is everybody's; another's has a table of its own."""
    links = [
        {"type": "phy", "id": f"l{n}", "ethernet_mac_address": f"52:54:00:00:00:0{n}", "mtu": 1500} for n in range(2)
    ]
    networks = [
        {
            "link": "l0", "type": "ipv4", "ip_address": "10.0.0.5", "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
                       {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"}],
        },
        {"link": "l1", "type": "ipv4", "ip_address": "10.0.0.6/24", "gateway": "10.0.0.1"},
        {"link": "l1", "type": "ipv6", "ip_address": "fd00::5", "netmask": "ffff:ffff::", "gateway": "fd00::1"},
    ]  # fmt: skip
    config = network_config(json.dumps({"links": links, "networks": networks}))

    main = [(str(one.destination), str(one.gateway)) for one in config.routes or () if one.table == 254]
    assert sorted(main) == [("0.0.0.0/0", "10.0.0.1"), ("10.9.0.0/16", "10.0.0.9")]
    assert [(str(one.source), one.table) for one in config.rules or ()] == [("10.0.0.6/32", 101), ("fd00::5/128", 102)]
    assert {one.link for one in config.routes or () if one.table != 254} == {"l1"}


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("[]", "reading network_data.json"),
        (changed("links", 2, "bond_mode", to="9"), r"links\.2\.bond_mode: 9 is no mode"),
        (changed("links", 2, "bond_links", to=["eth7"]), r"links\.2\.bond_links: eth7 is no link"),
        (changed("links", 3, "vlan_link", to="x"), r"links\.3\.vlan_link: x is no link"),
        (changed("links", 3, "vlan_id", to=5000), r"vlan_id"),
        (changed("links", 0, "ethernet_mac_address", to=None), r"links\.0\.ethernet_mac_address: it is missing"),
        (changed("networks", 0, "link", to="x"), r"networks\.0\.link: x is no link"),
        (changed("networks", 2, "ip_address", to="300.1.1.1"), r"networks\.network2\.ip_address"),
        (changed("networks", 0, "type", to="ipx"), r"networks\.0\.type"),
    ],
)
def test_refused(text: str, evidence: str) -> None:
    """What makes no sense is refused, by the field's name."""
    with pytest.raises(DecodeError, match=evidence):
        network_config(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["links", "networks", "id", "type", "link"]), x),
    )
)
def test_nonsense(made: object) -> None:
    """Whatever the bytes are, a network comes out or `DecodeError`."""
    with suppress(DecodeError):
        network_config(json.dumps(made))
