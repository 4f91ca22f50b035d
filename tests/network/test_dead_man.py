# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch on a real kernel: agents die, hang and lose their controller at every step of a change, and the
machine always comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent.model.network import NetworkConfig
from tests.network.enter import guards
from tests.network.mortal import Agents
from tests.network.world import Server, World

pytestmark = pytest.mark.root
KILLED = -9
PATIENCE_S = 20
POLL_S = 0.05
GROUP = {"id": "web", "rules": [{"direction": "out"}, {"direction": "in", "protocol": "tcp"}]}


def before(server: Server) -> NetworkConfig:
    """What holds at first: its usual network, with a security group."""
    return server.usual(firewall={"groups": [GROUP], "links": {"eth1": ["web"]}})


def after(server: Server) -> NetworkConfig:
    """Another address and MTU; an interface, a tunnel and a routing table more; another group, and a limit."""
    return server.config(
        {"addresses": ["10.1.0.77/24"]},
        {"addresses": [], "mtu": 1600, "bandwidth": {"egress_mbps": 100}},
        {"kind": "macvlan", "name": "web", "parent": "eth1", "addresses": ["10.2.0.77/24"]},
        {"kind": "vxlan", "name": "vx7", "vni": 7, "local": "10.1.0.77", "remotes": ["10.1.0.12"], "mtu": 1400},
        routes=[
            {"destination": "0.0.0.0/0", "link": "eth0", "gateway": "10.1.0.1"},
            {"destination": "0.0.0.0/0", "link": "web", "gateway": "10.2.0.1", "table": 100},
        ],
        rules=[{"priority": 1000, "table": 100, "source": "10.2.0.77/32"}],
        firewall={"groups": [GROUP | {"id": "db"}], "links": {"web": ["db"]}},
        dns={"servers": ["10.9.0.9"]},
    )


@pytest.fixture
def agents(two: World, server: Server) -> Iterator[Agents]:
    """Agents on the first server, whose first network is there."""
    with Agents(server, ("-n", two.router, *two.cutting)) as made:
        assert made.change(before(server)) == 0, made.error
        yield made


def is_quiet(server: Server) -> bool:
    """Whether nothing is pending, and nobody watches."""
    return server.record.pending() is None and not list(guards(server.namespace))


def settle(server: Server) -> None:
    """Until it is so."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_quiet(server):
        assert time.monotonic() < end_s, "the guard does not bring it back"
        time.sleep(POLL_S)


def test_killed_and_cut_off_at_every_step(two: World, server: Server, agents: Agents) -> None:
    """An agent is killed, and its controller out of reach, after each single change to the machine: the guard, another
    process, brings back what was before. What was proven to the end stays.
    """
    old = server.look(), server.record.held()
    assert agents.change(after(server)) == 0, agents.error
    new = server.look()
    steps = agents.count
    assert new != old[0] and agents.change(before(server)) == 0

    for at in range(1, steps + 1):
        assert agents.change(after(server), at, "cut", "self") == KILLED, at
        if at == 1:  # it was written down, and nothing done: the guard was not yet there
            assert server.agent("revert", "--state", str(server.directory)).stdout == "taken back\n"
        settle(server)
        two.heal()
        if at < steps:
            assert server.look() == old[0], at
            assert server.record.held().config == old[1].config
        else:
            assert server.look() == new and server.record.held().config == after(server)
