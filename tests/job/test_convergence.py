# SPDX-License-Identifier: Apache-2.0
"""Convergence of the network, by the real table on a fake host."""

from __future__ import annotations

from ipaddress import IPv4Interface

from agent.host.doors import Link
from agent.host.fake import FakeHost, Machine, Tree, silent
from agent.host.fake.machine import Record
from agent.job.convergence import Convergence
from agent.model.network import NetworkConfig
from agent.operations import Operations
from tests.hardware import MAC, static

DEVICE = {"/sys/class/net/eno1/device/vendor": "0x8086\n", "/sys/class/net/eno1/address": f"{MAC}\n"}
ENO1 = Link(
    index=2,
    name="eno1",
    current_mac=MAC,
    permanent_mac=MAC,
    up=False,
    carrier=True,
    mtu=1500,
    kind=None,
    addresses=(IPv4Interface("10.9.9.9/24"),),
    gateway=None,
)
WANTED = NetworkConfig(nics=(static(dns=("9.9.9.9",)),))


def machine() -> Machine:
    """A machine with one NIC that has another address."""
    made = Machine.of(Tree.of(DEVICE), Record(origin="synthetic: one NIC", links=(ENO1,)))
    made.programs["networkctl"] = silent
    return made


def test_brings_about_and_then_rests() -> None:
    """The first round changes what differs and writes the file for the next boot; the second touches nothing."""
    made = machine()
    convergence = Convergence(Operations(FakeHost.of(made), "service", "/spool"))
    convergence.want(7, WANTED)
    assert convergence.round() is True
    link, commands = made.links[2], list(made.commands)
    assert convergence.round() is True

    assert (link.up, link.addresses, str(link.gateway)) == (True, (IPv4Interface("192.168.1.10/24"),), "192.168.1.1")
    assert made.commands == commands == [("networkctl", "reload")]
    assert convergence.applied_generation == 7 and convergence.fault is None


def test_what_does_not_hold_is_told() -> None:
    """A NIC that is not there is a fault with its evidence; the generation does not count as applied."""
    convergence = Convergence(Operations(FakeHost.of(machine()), "service", "/spool"))
    convergence.want(7, NetworkConfig(nics=(static(mac="52:54:00:00:00:99"),)))
    assert convergence.round() is False

    assert convergence.applied_generation == 0
    assert convergence.fault is not None and f"eno1 {MAC}" in convergence.fault.message


def test_manual_change_is_put_right() -> None:
    """An address that somebody removed comes back with the next round."""
    made = machine()
    convergence = Convergence(Operations(FakeHost.of(made), "service", "/spool"))
    convergence.want(7, WANTED)
    convergence.round()
    FakeHost.of(made).netlink.remove_address(2, IPv4Interface("192.168.1.10/24"))
    convergence.round()

    assert made.links[2].addresses == (IPv4Interface("192.168.1.10/24"),)
