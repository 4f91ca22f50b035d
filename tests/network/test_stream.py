# SPDX-License-Identifier: Apache-2.0
"""A change does not disturb what it does not concern: a stream over one NIC while all of the other changes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from agent.model.network import NetworkConfig
from tests.network.test_drift import wait_for
from tests.network.test_vpc import become
from tests.network.world import Server, World

pytestmark = pytest.mark.root
PORT = 5001
PIECE = b"x" * 16384
PAUSE_S = 0.002
ROUNDS = 30


@contextmanager
def streaming(source: Server, sink: Server, address: str) -> Iterator[list[float]]:
    """A TCP stream for as long as the block; when each piece came to its end."""
    listener = sink.inside(lambda: socket.create_server(("", PORT)))
    sender = source.inside(lambda: socket.create_connection((address, PORT), 5))
    receiver, _ = listener.accept()
    stop, came_s = Event(), list[float]()

    def send() -> None:
        while not stop.wait(PAUSE_S):
            sender.sendall(PIECE)
        sender.shutdown(socket.SHUT_WR)

    def receive() -> None:
        while receiver.recv(1 << 16):
            came_s.append(time.monotonic())

    threads = [Thread(target=work, name=work.__name__, daemon=True) for work in (send, receive)]
    with listener, sender, receiver:
        for thread in threads:
            thread.start()
        try:
            yield came_s
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)


def losses(server: Server) -> int:
    """Segments that TCP has sent again, and times that it gave up waiting: what was dropped on the way out is not sent
    again in its count.
    """

    def counted() -> int:
        found: dict[str, str] = {}
        for file in ("snmp", "netstat"):
            lines = Path(f"/proc/thread-self/net/{file}").read_text().splitlines()
            for names, values in zip(lines[::2], lines[1::2], strict=True):
                found.update(zip(names.split(), values.split(), strict=True))
        return int(found["RetransSegs"]) + int(found["TCPTimeouts"])

    return server.inside(counted)


def busy(server: Server, number: int) -> NetworkConfig:
    """The usual network, and on the second NIC something else each time."""
    usual = server.usual({"mtu": 1500 + number % 2 * 100}).model_dump(mode="json")
    web = {"kind": "macvlan", "name": f"web{number % 3}", "parent": "eth1", "addresses": [f"10.7.{number}.1/24"]}
    tunnel = {"kind": "vxlan", "name": f"vx{number % 2}", "vni": 1 + number, "local": "10.2.0.11", "mtu": 1400}
    tunnel |= {"remotes": ["10.2.0.12"], "addresses": [f"172.16.{number}.1/24"]}
    table = {"destination": "0.0.0.0/0", "link": web["name"], "gateway": f"10.7.{number}.254", "table": 100 + number}
    group = {"id": f"g{number}", "rules": [{"direction": "in"}, {"direction": "out"}]}
    return NetworkConfig.model_validate(
        usual
        | {
            "links": [*usual["links"], web, tunnel],
            "routes": [*usual["routes"], table],
            "rules": [{"priority": 1000 + number, "table": 100 + number, "source": f"10.7.{number}.1/32"}],
            "firewall": {"groups": [group], "links": {"eth1": [group["id"]], web["name"]: [group["id"]]}},
        }
    )


def test_nothing_is_lost(two: World) -> None:
    """While interfaces, tunnels, MTUs, routes, rules and security groups of one NIC change dozens of times, an
    established stream over the other loses no packet and never pauses.
    """
    one, other = two.servers
    for server in (one, other):
        server.tell("ipv4/tcp_early_retrans", "0")  # a probe of a busy machine's slow answer is no loss
        become(server, server.usual(), NetworkConfig())
    held = one.usual()
    with streaming(one, other, "10.1.0.12") as came_s:
        for number in range(ROUNDS):
            wanted = busy(one, number)
            steps = become(one, wanted, held)
            assert {"create_link", "replace_firewall", "add_rule", "set_route"} <= set(steps)
            held = wanted
        lost, ended_s = losses(one), time.monotonic()
        two.route("link", "set", two.port(one, 0), "down")  # that losses would have been seen
        time.sleep(0.3)
        two.route("link", "set", two.port(one, 0), "up")
        wait_for(lambda: losses(one) > 0, 0.1)

    assert lost == 0
    came_s = [each for each in came_s if each < ended_s]
    gaps_s = [later - sooner for sooner, later in pairwise(came_s)]
    assert len(gaps_s) > ROUNDS and max(gaps_s) < 1.0
