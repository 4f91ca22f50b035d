# SPDX-License-Identifier: Apache-2.0
"""Security groups in the real kernel: what passes and what does not, between machines in namespaces of their own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest

from agent.apply.network.firewall import SAVED_FIREWALL, SAVED_MEMBERS, change_members, replace_firewall, shortened
from agent.errors import HostError, InputError
from agent.host.fake import FakeHost
from agent.host.nftables import RealNftables
from agent.inventory.network.firewall import loaded_digests
from agent.model.network import Direction, Firewall, SecurityGroup, SecurityRule
from agent.model.network.nft import CHANGED, FIREWALL_TABLE
from agent.model.network.step import ChangeMembers, ReplaceFirewall
from agent.plan.network.firewall import firewall_steps
from tests.bench.links import Machine
from tests.host.machines import inside, listening, machines, seen_from
from tests.loops import command

pytestmark = pytest.mark.root
IN, OUT = Direction.IN, Direction.OUT
EVERYTHING_OUT = (SecurityRule(direction=OUT), SecurityRule(direction=OUT, version=6))
LINK = "eth0"


class Server:
    """A machine with the agent's doors to nf_tables; files are kept in memory."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.host = replace(FakeHost.with_files({}), nftables=RealNftables())
        self.last: Firewall | None = None

    def become(self, desired: Firewall) -> list[str]:
        """Plan, do, observe; what was done."""

        def work() -> list[str]:
            steps = firewall_steps(loaded_digests(self.host)[0], self.last, desired)
            for step in steps:
                self.do(step)
            assert loaded_digests(self.host)[0] == desired.digest
            assert firewall_steps(desired.digest, desired, desired) == []
            return [step.kind for step in steps]

        done = inside(self.machine, work)
        self.last = desired
        return done

    def do(self, step: ReplaceFirewall | ChangeMembers) -> None:
        """One step, in this thread's network."""
        if isinstance(step, ReplaceFirewall):
            replace_firewall(self.host, step)
        else:
            change_members(self.host, step)

    def digest(self) -> str | None:
        """What is loaded."""
        return inside(self.machine, lambda: loaded_digests(self.host)[0])


@pytest.fixture
def three() -> Iterator[list[Machine]]:
    """Machines on one switch."""
    with machines(3) as found:
        yield found


def of(*rules: SecurityRule, members: tuple[str, ...] = (), **links: tuple[str, ...]) -> Firewall:
    """One group, `web`, on eth0."""
    return Firewall.model_validate(
        {
            "groups": (SecurityGroup(id="web", rules=rules),),
            "links": {LINK: ("web",)} | links,
            "members": {"web": members},
        }
    )


def test_default_group(three: list[Machine]) -> None:
    """All may go out, answers come back, and in comes only what is from members of the group; of both versions."""
    server, member, other = three
    web = Server(server)
    own = (SecurityRule(direction=IN, remote_group="web"), SecurityRule(direction=IN, version=6, remote_group="web"))
    assert web.become(of(*EVERYTHING_OUT, *own, members=(member.address, "fd18::2"))) == ["replace_firewall"]

    assert seen_from(server, other, other.address) == server.address
    assert seen_from(server, other, "fd18::3") == "fd18::1"
    assert command(*server.inside, "ping", "-c1", "-W1", other.address)
    assert command(*server.inside, "ping", "-6", "-c1", "-W1", "fd18::3")
    assert seen_from(member, server, server.address) == member.address
    assert seen_from(member, server, "fd18::1") == "fd18::2"
    assert seen_from(other, server, server.address) is None
    assert seen_from(other, server, "fd18::1") is None


def test_members_come_and_go(three: list[Machine]) -> None:
    """A member that joins is let in at once and one that left is not, without a rule being touched."""
    server, one, other = three
    web = Server(server)
    rules = (SecurityRule(direction=IN, remote_group="web"), SecurityRule(direction=IN, version=6, remote_group="web"))
    web.become(of(*rules, members=(one.address, "fd18::2")))
    before = inside(server, lambda: RealNftables().chains(FIREWALL_TABLE))

    assert web.become(of(*rules, members=(other.address, "fd18::2", "fd18::3"))) == ["change_members"]
    assert seen_from(one, server, server.address) is None
    assert seen_from(other, server, server.address) == other.address
    assert seen_from(one, server, "fd18::1") == "fd18::2"
    assert seen_from(other, server, "fd18::1") == "fd18::3"
    after = inside(server, lambda: RealNftables().chains(FIREWALL_TABLE))
    assert sorted(after.values()) == sorted(before.values())


def test_members_may_be_there_or_gone_already(three: list[Machine]) -> None:
    """A change of members that is done twice is no error, and changes nothing more."""
    web = Server(three[0])
    web.become(of(members=("198.18.0.2",)))
    step = ChangeMembers(
        add={"web": (IPv4Address("198.18.0.9"),)}, remove={"web": (IPv4Address("198.18.0.2"),)}, digest="0" * 64
    )
    for _ in range(2):
        inside(three[0], lambda: web.do(step))

    assert web.digest() == "0" * 64


def test_rules_that_overlap(three: list[Machine]) -> None:
    """What any rule allows is allowed, whatever else its networks and ports are part of; and a rule goes alone."""
    server, near, far = three
    nets = [SecurityRule(direction=IN, remote=ip_network(one)) for one in ("198.18.0.0/30", "198.18.0.2/32")]
    ports = [
        SecurityRule(direction=IN, protocol="udp", first_port=first, last_port=last, remote=ip_network("198.18.0.0/24"))
        for first, last in ((4000, 5000), (5000, 6000), (4500, 4600))
    ]
    web = Server(server)
    web.become(of(*nets, *ports))
    assert [seen_from(near, server, server.address, port) is not None for port in (3999, 5000)] == [True, True]

    web.become(of(nets[1], *ports[:1]))
    assert seen_from(near, server, server.address, 7000) == near.address
    assert seen_from(far, server, server.address, 5000) == far.address
    assert seen_from(far, server, server.address, 5001) is None
    web.become(of(nets[1], ports[2]))
    assert seen_from(far, server, server.address, 5000) is None
    assert seen_from(far, server, server.address, 4550) == far.address


def test_egress(three: list[Machine]) -> None:
    """What no rule allows out does not leave, and the program is told so."""
    server, near, far = three
    rule = SecurityRule(direction=OUT, protocol="udp", first_port=5000, last_port=5000, remote=ip_network(near.address))
    Server(server).become(of(rule))

    assert seen_from(server, near, near.address) == server.address
    assert seen_from(server, near, near.address, 5001) is None
    assert seen_from(server, far, far.address) is None
    assert seen_from(near, server, server.address) is None


def test_links_apart(three: list[Machine]) -> None:
    """A link in no group is not filtered, and groups of a link that is not there harm nobody; loopback is free."""
    server, near, _ = three
    web = Server(server)
    web.become(of(**{LINK: (), "bond0.100": ("web",), "enp1s0f0np0": ("web",)}))

    assert seen_from(near, server, server.address) == near.address
    web.become(of())
    assert seen_from(near, server, server.address) is None
    assert seen_from(server, server, server.address) == server.address
    assert seen_from(server, server, "127.0.0.1") == "127.0.0.1"


def test_icmp_by_type(three: list[Machine]) -> None:
    """Echo may be allowed alone; errors about what was allowed come back without a rule."""
    server, near, _ = three
    echo = SecurityRule(direction=IN, protocol="icmp", icmp_type=8, icmp_code=0)
    echo6 = SecurityRule(direction=IN, version=6, protocol="icmp", icmp_type=128)
    Server(server).become(of(*EVERYTHING_OUT, echo, echo6))

    assert command(*near.inside, "ping", "-c1", "-W1", server.address)
    assert command(*near.inside, "ping", "-6", "-c1", "-W1", "fd18::1")
    refused = inside(server, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with refused, pytest.raises(ConnectionRefusedError):  # "port unreachable" of a port where nobody listens
        refused.connect((near.address, 9))
        refused.settimeout(1)
        refused.send(b"x")
        refused.recv(1)


def test_changes_by_others_are_noticed(three: list[Machine]) -> None:
    """A rule that came or went, a flushed table and a missing one are not what was loaded; it comes back."""
    server, near, _ = three
    web, desired = Server(server), of(members=("198.18.0.9",))
    gone = (f"delete table {FIREWALL_TABLE}", "flush ruleset")
    for harm in (
        f"flush chain {FIREWALL_TABLE} link-eth0-in",
        f"insert rule {FIREWALL_TABLE} input accept",
        f"flush table {FIREWALL_TABLE}",
        *gone,
    ):
        web.become(desired)
        assert seen_from(near, server, server.address) is None
        command(*server.inside, "nft", harm)
        assert web.digest() == (None if harm in gone else CHANGED)
    assert web.become(desired) == ["replace_firewall"]


def test_what_is_refused_changes_nothing(three: list[Machine]) -> None:
    """A firewall that the kernel refuses is an error that says where, and the former one stands."""
    server = three[0]
    web, former = Server(server), of(members=("198.18.0.9",))
    web.become(former)
    bad: Any = [f"add rule {FIREWALL_TABLE} input accept", f"add rule {FIREWALL_TABLE} nowhere drop"]
    with pytest.raises(HostError, match=r"loading a ruleset: .*No such file.*nowhere drop"):
        inside(server, lambda: web.host.nftables("\n".join(bad)))
    with pytest.raises(HostError, match=r"syntax error.*add rule inet x"):
        inside(server, lambda: web.host.nftables("add rule inet x"))
    with pytest.raises(InputError, match="characters that no rule can hold"):
        web.become(of(**{'a";drop': ("web",)}))
    stranger = ChangeMembers(add={"nobody": (IPv4Address("198.18.0.9"),)}, digest="0" * 64)
    with pytest.raises(HostError, match="changing the sets of table inet bms_agent: No such file"):
        inside(server, lambda: web.do(stranger))

    assert web.digest() == former.digest


def test_what_was_saved_is_what_stood(three: list[Machine]) -> None:
    """The saved firewall, loaded by nft into a kernel that knows nothing, is the loaded one, members and all."""
    server, one, other = three
    web = Server(server)
    rule = SecurityRule(direction=IN, remote_group="web")
    web.become(of(rule, members=(one.address,)))
    web.become(of(rule, members=(one.address, other.address)))
    desired = of(rule, members=(other.address,))
    assert web.become(desired) == ["change_members"]

    saved, text = (web.host.files.read_text(path) for path in (SAVED_FIREWALL, SAVED_MEMBERS))
    for members in (text, shortened(text)):
        command(*server.inside, "nft", "flush", "ruleset")
        for each in (saved, members):
            command(*server.inside, "nft", "-f", "-", stdin=each)
        assert web.digest() == desired.digest
        assert seen_from(one, server, server.address) is None
        assert seen_from(other, server, server.address) == other.address
    assert len(shortened(text)) < len(text)


def test_a_stream_lives_on(three: list[Machine]) -> None:
    """An established connection goes on without a loss while rules that do not concern it come and go."""
    server, near, _ = three
    web = Server(server)
    ssh = SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22)
    web.become(of(ssh))
    with listening(server, 22, is_tcp=True) as door:
        here = inside(near, lambda: socket.create_connection((server.address, 22), timeout=2))
        there, _ = door.accept()
        with here, there:
            there.settimeout(2)
            for number in range(40):
                extra = SecurityRule(direction=IN, protocol="udp", first_port=1 + number, last_port=99)
                web.become(of(ssh, extra))
                here.sendall(b"x" * 20_000)
                assert sum(len(there.recv(1000, socket.MSG_WAITALL)) for _ in range(20)) == 20_000
            info = here.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert int.from_bytes(info[100:104], "little") == 0  # tcpi_total_retrans, linux/tcp.h


def test_a_rule_that_goes_ends_no_connection(three: list[Machine]) -> None:
    """What stands goes on when the rule that let it in is gone; what is new is not let in any more."""
    server, near, _ = three
    web = Server(server)
    web.become(of(SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22)))
    with listening(server, 22, is_tcp=True) as door:
        here = inside(near, lambda: socket.create_connection((server.address, 22), timeout=2))
        there, _ = door.accept()
        with here, there:
            assert web.become(of()) == ["replace_firewall"]
            for one, other in ((here, there), (there, here)):
                other.settimeout(2)
                one.sendall(b"still")
                assert other.recv(5, socket.MSG_WAITALL) == b"still"
        with pytest.raises(TimeoutError):
            inside(near, lambda: socket.create_connection((server.address, 22), timeout=0.5))


def test_what_no_group_forbids(three: list[Machine]) -> None:
    """A DHCP client's packets pass in both directions, though no rule says so; raw sockets see what is dropped; and
    what the server forwards for others is not filtered."""
    server, near, far = three
    web = Server(server)
    web.become(of())
    with listening(server, 68) as client, listening(near, 67) as dhcp:
        assert [sent(client, near.address, 67, dhcp), sent(dhcp, server.address, 68, client)] == [True, True]
        assert sent(client, near.address, 5000, dhcp) is sent(dhcp, server.address, 5000, client) is False

    raw = inside(server, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)))
    with raw:
        raw.settimeout(2)
        assert seen_from(near, server, server.address) is None
        assert b"".join(raw.recv(100) for _ in range(1))[-1:] == b"x"

    command(*server.inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    command("ip", "-n", far.namespace, "address", "add", "203.0.113.1/32", "dev", "lo")
    for one, by in ((near, server), (server, far)):
        command("ip", "-n", one.namespace, "route", "add", "203.0.113.0/24", "via", by.address)
    assert seen_from(near, far, "203.0.113.1") == near.address
    assert seen_from(near, server, server.address) is None


def sent(one: socket.socket, address: str, port: int, other: socket.socket) -> bool:
    """Whether a datagram arrives."""
    try:
        one.sendto(b"x", (f"::ffff:{address}", port))
        return other.recv(10) == b"x"
    except (TimeoutError, PermissionError):
        return False
