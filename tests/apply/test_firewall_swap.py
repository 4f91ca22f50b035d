# SPDX-License-Identifier: Apache-2.0
"""Firewalls that are swapped while packets arrive: none that is allowed is lost, none that is forbidden gets in.

Packets to two ports are new ones to the rules, each of them, since nobody answers. Those to the third are answers: they
are allowed as such alone.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_network
from threading import Event, Thread

import pytest

from agent.apply.network.firewall import replace_firewall
from agent.host.fake import FakeHost
from agent.host.nftables import RealNftables
from agent.model.network import Direction, Firewall, SecurityGroup, SecurityRule
from agent.model.network.step import ReplaceFirewall
from tests.bench.links import Machine
from tests.host.machines import inside, listening, machines

pytestmark = pytest.mark.root
ALLOWED, FORBIDDEN, ANSWERED = 5000, 5001, 6000
PORTS, SECONDS = 200, float(os.environ.get("SWAP_SECONDS", "4"))
RECEIVE_BYTES = 64 << 20


def firewall(variant: int, size: int) -> Firewall:
    """The client may reach one port, by a network or by a group; everything else differs from variant to variant."""
    mine = {"protocol": "udp", "first_port": ALLOWED, "last_port": ALLOWED, "direction": Direction.IN}
    reach = {"remote": ip_network("198.18.0.2/31")} if variant % 2 else {"remote_group": "web"}
    strangers = [
        SecurityRule.model_validate(
            mine
            | {
                "remote": ip_network(f"10.{variant}.{number // 250}.{number % 250}"),
                "first_port": FORBIDDEN - number % 2,
                "last_port": FORBIDDEN,
            }
        )
        for number in range(size)
    ]
    out = SecurityRule(direction=Direction.OUT)
    rules = (out, *strangers[: size // 2], SecurityRule.model_validate(mine | reach), *strangers[size // 2 :])
    group = SecurityGroup(id="web", rules=rules)
    members = ("198.18.0.2", f"198.18.1.{variant}")
    return Firewall.model_validate(
        {
            "groups": (group, SecurityGroup(id=f"g{variant}")),
            "links": {"eth0": ("web", f"g{variant}")},
            "members": {"web": members},
        }
    )


def sockets(client: Machine) -> list[socket.socket]:
    """Many ports of the client."""
    found = inside(client, lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)])
    for each in found:
        each.bind((client.address, 0))
    return found


def send(ours: Sequence[socket.socket], address: str, over: Event) -> int:
    """Datagrams to all ports from ours in turn; how many to each."""
    count = 0
    while not over.is_set():
        for each in ours:
            for port in (ALLOWED, FORBIDDEN, ANSWERED):
                each.sendto(b"x", (address, port))
            count += 1
        time.sleep(0.005)
    return count


def arrived(door: socket.socket) -> int:
    """All that is in the queue."""
    count = 0
    door.setblocking(False)
    while True:
        try:
            door.recv(10)
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("size", [20, 3000])
def test_a_swap_loses_nothing_and_lets_nothing_in(size: int) -> None:
    """Over many swaps 0 of the allowed packets are lost, and 0 of the forbidden ones arrive."""
    host = replace(FakeHost.with_files({}), nftables=RealNftables())
    steps = [ReplaceFirewall(firewall=firewall(variant, size)) for variant in range(4)]
    with ExitStack() as stack:
        server, client = stack.enter_context(machines(2))
        doors = [stack.enter_context(listening(server, port)) for port in (ALLOWED, FORBIDDEN, ANSWERED)]
        ours = [stack.enter_context(each) for each in sockets(client)]
        for each in doors:
            each.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BYTES)  # SO_RCVBUFFORCE: a busy machine must not drop here
        inside(server, lambda: replace_firewall(host, steps[0]))
        for each in ours:
            doors[2].sendto(b"?", (f"::ffff:{client.address}", each.getsockname()[1]))
        sent: list[int] = []
        counts = [0, 0, 0]
        over = Event()
        sender = Thread(target=lambda: sent.append(send(ours, server.address, over)), name="sender")
        sender.start()

        def swap() -> int:
            count, end = 0, time.monotonic() + SECONDS
            while time.monotonic() < end:
                count += 1
                replace_firewall(host, steps[count % len(steps)])
                for number, each in enumerate(doors):
                    counts[number] += arrived(each)
            return count

        swaps = inside(server, swap)
        over.set()
        sender.join()
        time.sleep(0.1)

        assert swaps > 10
        counts = [count + arrived(each) for count, each in zip(counts, doors, strict=True)]
        assert counts == [sent[0], 0, sent[0]], f"{swaps} swaps"
