# SPDX-License-Identifier: Apache-2.0
"""VPCs between servers: tunnels that do not mix, servers that come and go, and several NICs in one subnet."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from agent.host import real
from agent.model.network import NetworkConfig
from agent.model.network.routing import answered_from
from agent.networking import Networking
from tests.network.enter import inside
from tests.network.world import Server, World, world

pytestmark = pytest.mark.root
PORT = 5000
PATIENCE_S = 0.4
TRIES = 5
ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806


@pytest.fixture
def five(tmp_path: Path) -> Iterator[World]:
    """A world with five servers, each with its usual network."""
    with world(tmp_path, 5) as made:
        for server in made.servers:
            become(server, server.usual(), NetworkConfig())
        yield made


def become(server: Server, config: NetworkConfig, before: NetworkConfig) -> list[str]:
    """Bring it about, without guard and proofs; which steps that took. Afterwards nothing is left to do."""

    def work() -> list[str]:
        networking = Networking(real.host(), persist=False)
        plan = networking.plan_network(networking.network_state(config), config, before)
        plan = plan.model_copy(update={"steps": tuple(step for step in plan.steps if step.kind != "prove_network")})
        networking.apply_network(plan, lambda step: None)
        assert networking.unmet(networking.network_state(config), config, config) == ()
        return [step.kind for step in plan.steps]

    return server.inside(work)


def in_vpc(server: Server, vni: int, address: str, members: Sequence[Server]) -> NetworkConfig:
    """The usual network and a tunnel to the members."""
    tunnel = {
        "kind": "vxlan",
        "name": "vpc0",
        "mac": f"02:00:00:{vni:02x}:00:{server.number:02x}",
        "vni": vni,
        "local": f"10.1.0.{10 + server.number}",
        "remotes": [f"10.1.0.{10 + each.number}" for each in members if each is not server],
        "mtu": 1450,
        "addresses": [address],
    }
    usual = server.usual().model_dump(mode="json")
    return NetworkConfig.model_validate(usual | {"links": [*usual["links"], tunnel]})


@contextmanager
def listening(servers: Sequence[Server]) -> Iterator[list[socket.socket]]:
    """A datagram socket on each."""

    def opened() -> socket.socket:
        made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.bind(("", PORT))
        made.settimeout(PATIENCE_S)
        return made

    with ExitStack() as stack:
        yield [server.inside(opened) for server in servers]


def reached(client: Server, address: str, servers: Sequence[Server]) -> list[int]:
    """Numbers of the servers that a client's datagram to the address reaches."""
    with listening(servers) as theirs:

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
                ours.sendto(b"x" * 1400, (address, PORT))

        client.inside(send)
        found = []
        for server, each in zip(servers, theirs, strict=True):
            try:
                each.recv(2000)
                found.append(server.number)
            except TimeoutError:
                continue
        return found


def test_tunnels_do_not_mix(five: World) -> None:
    """Servers of one VPC reach each other; another on the same wires has the same addresses, and sees nothing of it.
    A server that joins is reached at once, one that leaves is not any more, and the tunnels of the others stay.
    """
    one, two, three, four, late = five.servers
    red, blue = (one, two), (three, four)
    held = {}
    for vni, members in ((7, red), (8, blue)):
        for server, address in zip(members, ("172.16.0.1/24", "172.16.0.2/24"), strict=True):
            held[server.number] = in_vpc(server, vni, address, members)
            assert "create_link" in become(server, held[server.number], server.usual())

    assert reached(one, "172.16.0.2", five.servers[1:]) == [two.number]
    assert reached(three, "172.16.0.2", [two, four, late]) == [four.number]

    wider = (*red, late)
    for server in red:
        config = in_vpc(server, 7, str(held[server.number].links[2].addresses[0]), wider)  # type: ignore[index]
        assert become(server, config, held[server.number]) == ["add_remote"]
        assert become(server, config, config) == []
    become(late, in_vpc(late, 7, "172.16.0.3/24", wider), late.usual())
    assert reached(one, "172.16.0.3", [two, three, four, late]) == [late.number]
    assert reached(late, "172.16.0.2", [two, four]) == [two.number]

    for server in red:
        config = in_vpc(server, 7, str(held[server.number].links[2].addresses[0]), wider)  # type: ignore[index]
        assert become(server, held[server.number], config) == ["remove_remote"]
    assert reached(one, "172.16.0.3", [two, three, four, late]) == []
    assert reached(one, "172.16.0.2", [two, three, four, late]) == [two.number]


def twins(server: Server) -> NetworkConfig:
    """Two NICs in one subnet; each answers for itself."""
    gateway = ip_address("10.1.0.1")
    addresses = ("10.1.0.11/24", "10.1.0.21/24")
    routes: list[Any] = [{"destination": "0.0.0.0/0", "link": "eth0", "gateway": "10.1.0.1"}]
    rules: list[Any] = []
    for number, address in enumerate(addresses):
        own, chosen = answered_from(f"eth{number}", ip_interface(address), gateway, 1000 + number, 1000 + number)
        routes += own
        rules += chosen
    return server.config({"addresses": addresses[:1]}, {"addresses": addresses[1:]}, routes=routes, rules=rules)


@contextmanager
def heard(namespace: str, directory: Path, link: str, protocol: int) -> Iterator[socket.socket]:
    """Every frame of that protocol on a link."""

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        made.bind((link, protocol))
        made.settimeout(PATIENCE_S)
        return made

    made = inside(namespace, directory, opened)
    with made:
        yield made


def senders(frames: socket.socket, address: str, at: int) -> set[str]:
    """MACs of frames that have that IPv4 address at this place, as their sender's."""
    found = set()
    try:
        while True:
            frame = frames.recv(2048)
            if frame[at : at + 4] == socket.inet_aton(address):
                found.add(frame[6:12].hex(":"))
    except TimeoutError:
        return found


def asks(server: Server, address: str, directory: Path, namespace: str | None = None) -> None:
    """An ICMP echo or two, from a namespace."""
    host = real.host()
    link = "eth0"
    answered = [
        inside(
            namespace or server.namespace,
            directory,
            lambda: host.probe.echo(link, ip_address(address), 84, 1.0),
        )
        for _ in range(TRIES)
    ]
    assert any(answered), f"{address} does not answer"


def test_each_nic_answers_for_itself(two: World, tmp_path: Path) -> None:
    """With two NICs in one subnet, the second's address is answered from the second, with its MAC: to a neighbour, to
    somebody behind the gateway, and to the question who has it.
    """
    one, other = two.servers
    two.route("link", "set", two.port(one, 1), "master", "front")
    become(other, other.usual(), NetworkConfig())
    become(one, twins(one), NetworkConfig())

    for number, address in enumerate(("10.1.0.11", "10.1.0.21")):
        other.ip("neighbour", "flush", "dev", "eth0")
        with heard(other.namespace, other.directory, "eth0", ETH_P_ARP) as arp:
            asks(other, address, other.directory)
            assert senders(arp, address, 28) == {one.macs[number]}
        with heard(other.namespace, other.directory, "eth0", ETH_P_IP) as ip:
            asks(other, address, other.directory)
            assert senders(ip, address, 26) == {one.macs[number]}
        with heard(two.router, tmp_path, "front", ETH_P_IP) as ip:
            asks(other, address, tmp_path, two.controller)
            assert senders(ip, address, 26) == {one.macs[number]}
