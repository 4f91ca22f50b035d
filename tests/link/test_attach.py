# SPDX-License-Identifier: Apache-2.0
"""The ramdisk's network as Ironic wants it: static addresses by virtual media, tagged links by name or by LLDP."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_interface
from threading import Event
from typing import Any

import pytest

from agent.host.fake import FakeHost, Machine, Tree
from agent.link.ironic.attach import add_vlans, attach, tagged_links
from tests.hardware import MAC, NETWORKD, link

OTHER = "52:54:00:00:00:02"
VLAN_NAMES = bytes.fromhex("fe09 0080c203 0064 02") + b"a" * 2 + bytes.fromhex("fe09 0080c203 00c8 02") + b"b" * 2
UNIT = bytes.fromhex("0207 04 a0b1c2d3e4f5 0407 03 a0b1c2d3e401 0602 0078") + VLAN_NAMES + bytes(2)
DATA: dict[str, Any] = {
    "links": [{"id": "port0", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1500}],
    "networks": [
        {
            "id": "n0",
            "type": "ipv4",
            "link": "port0",
            "ip_address": "192.0.2.50",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}],
        }
    ],
    "services": [{"type": "dns", "address": "192.0.2.1"}],
}


def ramdisk() -> FakeHost:
    """Two NICs, and systemd-networkd."""
    files = {f"/sys/class/net/{name}/device/vendor": "0x8086\n" for name in ("eno1", "eno2")}
    made = Machine.of(Tree.of({**files, **NETWORKD, "/proc/sys/net/ipv4/ip_forward": "0\n"}))
    made.links = {"eno1": link(up=True), "eno2": replace_mac("eno2", OTHER, 3)}
    return FakeHost.of(made)


def replace_mac(name: str, mac: str, index: int) -> Any:
    """Another NIC."""
    return link(name, mac=mac, up=True, index=index)


def test_a_static_address() -> None:
    """It is there, with its way out; the daemon that asks for leases is told, so that the NIC has no other."""
    host = ramdisk()

    assert attach(host, json.dumps(DATA), Event())
    assert ip_interface("192.0.2.50/24") in host.machine.links["eno1"].addresses
    assert [str(one.gateway) for one in host.machine.routes.values() if one.is_default] == ["192.0.2.1"]
    text = host.files.read_text(f"/etc/systemd/network/10-bms-agent-{MAC.replace(':', '')}.network")
    assert "Address=192.0.2.50/24" in text
    assert "DNS=192.0.2.1" in text
    assert ("systemctl", "restart", "systemd-networkd.service") in host.machine.commands


def test_a_gateway_that_is_not_heard_yet() -> None:
    """A switch may be silent for a while: the network is set all the same, for the daemon, too."""
    host = ramdisk()
    host.machine.silent.add("192.0.2.1")

    assert attach(host, json.dumps(DATA), Event())
    assert host.files.exists(f"/etc/systemd/network/10-bms-agent-{MAC.replace(':', '')}.network")


def test_once_more_changes_nothing() -> None:
    """A process that is started again finds it as it shall be."""
    host = ramdisk()
    attach(host, json.dumps(DATA), Event())
    changes, commands = host.machine.network_changes, list(host.machine.commands)

    assert attach(host.restarted(), json.dumps(DATA), Event())
    assert (host.machine.network_changes, host.machine.commands) == (changes, commands)


@pytest.mark.parametrize(
    "data",
    [
        {**DATA, "links": [{**DATA["links"][0], "ethernet_mac_address": "52:54:00:00:00:99"}]},
        {**DATA, "networks": [{**DATA["networks"][0], "ip_address": "x"}]},
        {},
    ],
)
def test_what_cannot_be_followed(data: dict[str, Any]) -> None:
    """A NIC that is not there, an address that is none, nothing at all: DHCP is left to do what it can."""
    host = ramdisk()

    assert not attach(host, json.dumps(data), Event())
    assert host.machine.network_changes == 0
    assert not host.machine.commands


def test_a_nic_that_comes_late_is_waited_for() -> None:
    """Half a minute, for a driver that takes its time."""
    host = ramdisk()
    late = host.machine.links.pop("eno1")

    class Clock:
        """It lets the NIC come after ten seconds."""

        def __getattr__(self, name: str) -> Any:
            if host.machine.uptime_s > 110:
                host.machine.links.setdefault("eno1", late)
            return getattr(host.clock, name)

    clock: Any = Clock()

    assert attach(replace(host, clock=clock), json.dumps(DATA), Event())
    assert host.machine.uptime_s < 125


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (("eno1.100",), {"eno1.100"}),
        ((f"{OTHER.upper()}.7",), {"eno2.7"}),
        (("eno1", "eno2.9"), {"eno1.100", "eno1.200", "eno2.9"}),
        (("all",), {"eno1.100", "eno1.200"}),
        (("eth7.1", "eno1.0", "eno1.4095"), set()),
        (("eno1.4095", "eno1.100"), {"eno1.100"}),
    ],
)
def test_tagged_links(asked: tuple[str, ...], made: set[str]) -> None:
    """By NIC or MAC and number, or as many as the switch names; up, and in the words of an inventory. A NIC that is not
    there, and a number that is none, make none, and hinder no other.
    """
    host = ramdisk()
    host.machine.announcements["eno1"] = UNIT
    add_vlans(host, asked, 5)
    add_vlans(host, asked, 5)

    assert {nic.name for nic in tagged_links(host)} == made
    assert all(host.machine.links[name].up for name in made)
