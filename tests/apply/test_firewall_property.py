# SPDX-License-Identifier: Apache-2.0
"""Any firewall at all: the kernel takes it, and lets through exactly what a plain reading of the rules allows."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.apply.network.firewall import load, next_generation
from agent.apply.network.security import FEW, ruleset
from agent.host.fake import FakeHost
from agent.host.nftables import RealNftables
from agent.inventory.network.firewall import loaded_digests
from agent.model.network import Direction, Firewall, SecurityGroup, SecurityRule
from agent.model.network.nft import FIREWALL_TABLE
from tests.host.machines import inside, listening, machines
from tests.loops import command

PORTS = (5000, 5001, 5002, 5003)
REMOTES = ("198.18.0.2", "198.18.0.66", "198.18.0.67", "fd18::2", "fd18::1:2")
NETWORKS = {
    4: (
        "198.18.0.0/24",
        "198.18.0.64/31",
        "198.18.0.68/30",
        "198.18.0.64/26",
        "198.18.0.66/31",
        "198.18.0.66/32",
        "198.18.0.2/32",
        "0.0.0.0/0",
        "10.0.0.0/8",
    ),
    6: ("fd18::/64", "fd18::1:0/112", "fd18::1:2/128", "fd18::2/127", "::/0"),
}
IDS = ("web", "db-in-4", "7")
Probe = tuple[Direction, str, int]
PROBES: list[Probe] = [(direction, remote, port) for direction in Direction for remote in REMOTES for port in PORTS]


@st.composite
def rules(draw: st.DrawFn) -> SecurityRule:
    """Rules that meet each other often."""
    version = draw(st.sampled_from((4, 6)))
    protocol = draw(st.sampled_from((None, "udp", "udp", "tcp", "icmp", 17, 47, 58)))
    given: dict[str, object] = {"version": version, "protocol": protocol, "direction": draw(st.sampled_from(Direction))}
    if protocol in ("udp", "tcp") and draw(st.booleans()):
        given["first_port"], given["last_port"] = sorted(draw(st.tuples(*[st.sampled_from((1, *PORTS, 65535))] * 2)))
    if protocol == "icmp" and draw(st.booleans()):
        given |= {"icmp_type": draw(st.integers(0, 255)), "icmp_code": draw(st.sampled_from((None, 0, 255)))}
    where = draw(st.sampled_from(("anybody", "network", "network", "group")))
    if where == "network":
        given["remote"] = draw(st.sampled_from(NETWORKS[version]))
    elif where == "group":
        given["remote_group"] = draw(st.sampled_from(IDS))
    return SecurityRule.model_validate(given)


@st.composite
def firewalls(draw: st.DrawFn) -> Firewall:
    """Three groups; eth0 is in any of them, and so is a link that is not there."""
    groups = tuple(SecurityGroup(id=each, rules=tuple(draw(st.lists(rules(), max_size=6)))) for each in IDS)
    some = st.lists(st.sampled_from(IDS), unique=True)
    members = {each: tuple(draw(st.lists(st.sampled_from(REMOTES), unique=True))) for each in IDS}
    return Firewall.model_validate(
        {"groups": groups, "links": {"eth0": draw(some), "bond0.7": draw(some)}, "members": members}
    )


def allows(firewall: Firewall, probe: Probe) -> bool:
    """A plain reading: is there a rule that fits a datagram?"""
    if not (ids := firewall.links["eth0"]):
        return True
    found = [rule for group in firewall.groups if group.id in ids for rule in group.rules]
    return any(fits(rule, firewall, probe) for rule in found)


def fits(rule: SecurityRule, firewall: Firewall, probe: Probe) -> bool:
    """Direction, version, protocol, port, remote."""
    direction, remote, port = probe
    address = ip_address(remote)
    if (rule.direction, rule.version) != (direction, address.version) or rule.protocol not in (None, "udp", 17):
        return False
    if rule.first_port is not None and rule.last_port is not None and not rule.first_port <= port <= rule.last_port:
        return False
    if rule.remote_group is not None:
        return address in firewall.members[rule.remote_group]
    return rule.remote is None or address in ip_network(rule.remote)


class Range:
    """A server, a client with many addresses, and sockets for every probe."""

    def __init__(self) -> None:
        self._machines = machines(2)
        self.server, self.client = self._machines.__enter__()
        for address in REMOTES:
            width = 24 if "." in address else 64
            argv = ["ip", "-n", self.client.namespace, "address", "replace", f"{address}/{width}", "dev", "eth0"]
            command(*argv, *(["nodad"] if width == 64 else []))
        self._doors = {
            side: [listening(machine, port) for port in PORTS]
            for side, machine in ((Direction.IN, self.server), (Direction.OUT, self.client))
        }
        self._sockets = {probe: self._opened(probe) for probe in PROBES}
        for door in (door for doors in self._doors.values() for door in doors):
            door.setblocking(False)

    def _opened(self, probe: Probe) -> socket.socket:
        direction, remote, _ = probe
        family = socket.AF_INET6 if ":" in remote else socket.AF_INET
        made = inside(
            self.client if direction is Direction.IN else self.server, lambda: socket.socket(family, socket.SOCK_DGRAM)
        )
        if direction is Direction.IN:
            made.bind((remote, 0))
        return made

    def passed(self) -> set[Probe]:
        """Send every probe; those that arrived."""
        for number, (probe, made) in enumerate(self._sockets.items()):
            direction, remote, port = probe
            there = remote if direction is Direction.OUT else ("fd18::1" if ":" in remote else self.server.address)
            try:
                made.sendto(bytes([number]), (there, port))
            except PermissionError:
                continue
        time.sleep(0.005)
        return {PROBES[number] for doors in self._doors.values() for door in doors for number in drained(door)}

    def close(self) -> None:
        """Sockets, then machines."""
        for each in (*self._sockets.values(), *(door for doors in self._doors.values() for door in doors)):
            each.close()
        self._machines.__exit__(None, None, None)


def drained(door: socket.socket) -> Iterator[int]:
    """What arrived."""
    while True:
        try:
            yield door.recv(1)[0]
        except BlockingIOError:
            return


@pytest.fixture(scope="module")
def at() -> Iterator[Range]:
    """For all examples."""
    made = Range()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.root
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(firewall=firewalls(), few=st.sampled_from((0, FEW)))
def test_the_kernel_reads_the_rules_as_we_do(at: Range, firewall: Firewall, few: int) -> None:
    """In place of whatever was there before: what is loaded is recognised, and exactly what is allowed passes."""
    host = replace(FakeHost.with_files({}), nftables=RealNftables())

    def work() -> str | None:
        made = ruleset(firewall, next_generation(host, FIREWALL_TABLE), few)
        load(host, made, made.script())
        return loaded_digests(host)[0]

    assert inside(at.server, work) == firewall.digest
    assert at.passed() == {probe for probe in PROBES if allows(firewall, probe)}


@given(before=firewalls(), after=firewalls())
def test_the_fake_takes_what_the_kernel_takes(before: Firewall, after: Firewall) -> None:
    """On the fake machine, too, one firewall takes the place of another, and nothing of the former is left."""
    host = FakeHost.with_files({})
    for generation, each in enumerate((before, after), 1):
        made = ruleset(each, generation, few=0)
        load(host, made, made.script())
        assert loaded_digests(host)[0] == each.digest
    alone = FakeHost.with_files({})
    made = ruleset(after, 2, few=0)
    load(alone, made, made.script())

    assert host.machine.nf_tables == alone.machine.nf_tables
