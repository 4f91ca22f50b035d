# SPDX-License-Identifier: Apache-2.0
"""Bonds of real NICs in the ramdisk, against another bond that plays the switch: LACP is spoken over two cables."""

from __future__ import annotations

import pytest

from agent.job.watcher import works
from agent.model.network import BondMode
from tests.machine.networks import LACP, VLAN_MAC, Made, bonded, unproven, vlan, with_links
from tests.machine.wired import OURS, THEIRS, Wired

pytestmark = pytest.mark.machine

LEG_S = 30
"""A partner that says nothing is given up after 3 s of the guest's time (IEEE 802.1AX, short timeout)."""
OPTIONS: list[Made] = [
    {"miimon_ms": 50},
    {"hash_policy": "layer2+3"},
    {"lacp_rate": "slow"},
    {"lacp_rate": "slow", "min_links": 2},
]


def wait_for_legs(wired: Wired) -> None:
    """Until both agree with their partners."""
    wired.within(LEG_S, "both legs", lambda: all(works(port) for port in wired.ports("bond0")))


def test_two_nics_and_their_partner(wired: Wired) -> None:
    """NICs are found by their MACs, whatever they are called. The bond has the MAC of the first and agrees with its
    partner, before its gateway has to answer; jumbo frames fit. Under other names, as ports that bear the bond's MAC,
    the NICs are found again: nothing is to be done."""
    wired.rename(OURS[0], "cable7")
    said = wired.apply(bonded(**LACP))
    assert "carries 9000 bytes" in said and said.endswith("done, and proven\n")

    wait_for_legs(wired)
    bond = wired.link("bond0")
    assert bond.bond is not None and (bond.mac, bond.mtu, bond.bond.partner_mac) == (OURS[0], 9000, THEIRS[0])
    assert [(port.actor_state, port.partner_state) for port in bond.bond.ports] == [(63, 63)] * 2
    assert len({port.aggregator for port in bond.bond.ports}) == 1
    tagged = wired.link("bond0.100")
    assert (tagged.mac, tagged.mtu) == (VLAN_MAC, 9000)

    wired.rename(OURS[0], "zz9")
    assert wired.apply(bonded(**LACP)) == "nothing to do\nnothing was touched\n"


def test_options_change_while_it_lives(wired: Wired) -> None:
    """The bond stays the same one, whatever the option; what it takes to be set down for comes back."""
    index = wired.details("bond0")["ifindex"]
    for options in OPTIONS:
        wired.change(bonded(**LACP | options))
        bond = wired.link("bond0")
        assert bond.index == index and bond.config is not None
        assert {name: getattr(bond.config, name) for name in options} == options
    wired.change(bonded(**LACP))


def test_a_lost_leg(wired: Wired) -> None:
    """Of two legs one is cut: that is told, by the link and by LACP alike, and traffic goes on by the other."""
    wait_for_legs(wired)
    wired.ask("events")
    wired.ask("send", "10.9.0.254")
    wired.cable(1, "off")
    wired.within(LEG_S, "the event", lambda: "bond0 has lost its leg zz9" in wired.events())
    _, back = wired.ask("count")
    wired.within(LEG_S, "traffic", lambda: wired.ask("count")[1] > back + 20)
    wired.cable(1, "on")
    wired.within(LEG_S, "the leg", lambda: "bond0 has its leg zz9 back" in wired.events())
    wired.ask("stop")


def test_no_packet_is_lost_by_what_does_not_concern_it(wired: Wired) -> None:
    """Links come and go on the bond, and one of its options changes, while packets pass."""
    wait_for_legs(wired)
    wired.ask("send", "10.9.0.254")
    more = vlan("more", 7, addresses=["10.7.0.1/24"])
    wired.change(with_links(bonded(**LACP, miimon_ms=200), more))
    wired.change(bonded(**LACP))
    sent, back = wired.ask("stop")
    assert sent == back > 20


@pytest.mark.parametrize("mode", [mode for mode in BondMode if mode is not BondMode.LACP])
def test_every_mode(wired: Wired, mode: BondMode) -> None:
    """A bond of another mode takes its place, with all that stands on it; there, back, and there again."""
    lone = mode in (BondMode.ACTIVE_BACKUP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB)
    wired.change(unproven(bonded(mode=str(mode), **({"primary": "nic1"} if lone else {}))))
    info = wired.details("bond0")["linkinfo"]["info_data"]
    assert info["mode"] == mode
    assert not lone or info["primary"] == wired.name(OURS[1])


def test_the_primary_port_changes(wired: Wired) -> None:
    """Without a new bond; the legs change at once."""
    wired.change(unproven(bonded(mode="active-backup", primary="nic1")))
    wired.change(unproven(bonded(mode="active-backup", primary="nic0")))
    assert [(port.name, port.active) for port in wired.ports("bond0")] == [(wired.name(OURS[1]), False), ("zz9", True)]
