# SPDX-License-Identifier: Apache-2.0
"""EIPs that a host translates, in the real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest

from agent.apply.network.firewall import SAVED_EIPS, replace_firewall, set_eips
from agent.host.fake import FakeHost
from agent.host.nftables import RealNftables
from agent.inventory.network.firewall import loaded_digests
from agent.model.network import Direction, Eip, EipMode, Firewall, SecurityGroup, SecurityRule, eips_digest
from agent.model.network.step import ReplaceFirewall, SetEips
from tests.bench.links import Machine
from tests.host.machines import inside, machines, seen_from
from tests.loops import command

pytestmark = pytest.mark.root
ONE, OTHER = "203.0.113.10", "203.0.113.11"
DOORS = replace(FakeHost.with_files({}), nftables=RealNftables())


@pytest.fixture
def three() -> Iterator[list[Machine]]:
    """A server; one of the outside, which is led to EIPs as a gateway does it; and a neighbour in the VPC."""
    with machines(3) as found:
        for address in (ONE, OTHER):
            command("ip", "-n", found[1].namespace, "route", "add", address, "via", found[0].address)
        command("ip", "-n", found[0].namespace, "route", "add", "default", "via", found[1].address)
        yield found


def bound(server: Machine, address: str, mode: EipMode = EipMode.HOST) -> Eip:
    """To the server's private address; the neighbour's is of the VPC."""
    return Eip(
        address=IPv4Address(address),
        private=IPv4Address(server.address),
        link="eth0",
        mode=mode,
        exempt=(ip_network("198.18.0.3/32"), ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16")),
    )


def bind(server: Machine, *eips: Eip) -> None:
    """Load them, and see that they are."""
    inside(server, lambda: set_eips(DOORS, SetEips(eips=eips)))
    assert inside(server, lambda: loaded_digests(DOORS)[1]) == eips_digest(eips)


def test_both_ways_and_inside(three: list[Machine]) -> None:
    """What is for the EIP reaches the server, what leaves it is the EIP's, and the VPC sees the private address."""
    server, outside, neighbour = three
    assert seen_from(server, outside, outside.address) == server.address
    bind(server, bound(server, ONE))

    assert seen_from(outside, server, ONE) == outside.address
    assert seen_from(server, outside, outside.address) == ONE
    assert seen_from(server, neighbour, neighbour.address) == server.address
    assert seen_from(server, server, ONE) is not None
    assert seen_from(outside, server, server.address) == outside.address


def test_another_eip(three: list[Machine]) -> None:
    """Bound to another EIP, the server is it at once, both ways, and the former one leads nowhere; then to none."""
    server, outside, _ = three
    for now, before in ((ONE, OTHER), (OTHER, ONE), (ONE, OTHER)):
        bind(server, bound(server, now))
        assert seen_from(outside, server, now) == outside.address
        assert seen_from(outside, server, before) is None
        assert seen_from(server, outside, outside.address) == now
    bind(server)
    assert seen_from(server, outside, outside.address) == server.address


def test_the_gateways_own(three: list[Machine]) -> None:
    """An EIP that the gateway translates changes nothing here."""
    server, outside, _ = three
    bind(server, bound(server, ONE, EipMode.GATEWAY))

    assert seen_from(outside, server, ONE) is None
    assert seen_from(server, outside, outside.address) == server.address


def test_groups_of_an_eip(three: list[Machine]) -> None:
    """Security groups hold for what comes by the EIP: from its real source, to the private address."""
    server, outside, neighbour = three
    bind(server, bound(server, ONE))
    rule = SecurityRule(direction=Direction.IN, remote=ip_network(outside.address))
    groups = (SecurityGroup(id="web", rules=(rule, SecurityRule(direction=Direction.OUT))),)
    shut = Firewall(groups=(groups[0].model_copy(update={"rules": ()}),), links={"eth0": ("web",)})
    inside(server, lambda: replace_firewall(DOORS, ReplaceFirewall(firewall=shut)))
    assert seen_from(outside, server, ONE) is None

    allowed = Firewall(groups=groups, links={"eth0": ("web",)})
    inside(server, lambda: replace_firewall(DOORS, ReplaceFirewall(firewall=allowed)))
    assert seen_from(outside, server, ONE) == outside.address
    assert seen_from(server, outside, outside.address) == ONE
    assert seen_from(neighbour, server, server.address) is None


def test_saved(three: list[Machine]) -> None:
    """What was saved, loaded by nft at boot, translates as before."""
    server, outside, _ = three
    bind(
        server,
        bound(server, ONE),
        bound(server, ONE).model_copy(
            update={"address": IPv4Address("203.0.113.99"), "private": IPv4Address("198.18.0.77")}
        ),
    )
    command(*server.inside, "nft", "flush", "ruleset")
    command(*server.inside, "nft", "-f", "-", stdin=DOORS.files.read_text(SAVED_EIPS))

    assert seen_from(outside, server, ONE) == outside.address
    assert seen_from(server, outside, outside.address) == ONE
