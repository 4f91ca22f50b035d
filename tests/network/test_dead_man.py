# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch on a real kernel: agents die, hang and lose their controller at every step of a change, and the
machine always comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.model.network import NetworkConfig
from tests.network.enter import guards
from tests.network.mortal import HURRIED_S, Agents
from tests.network.world import Server, World

pytestmark = pytest.mark.root
KILLED = -9
PATIENCE_S = 60
HANG_S = 12.0
"""For a change in which the agent is stopped: its guard has to be there by then."""
POLL_S = 0.05
GROUP = {"id": "web", "rules": [{"direction": "out"}, {"direction": "in", "protocol": "tcp"}]}


def before(server: Server) -> NetworkConfig:
    """What holds at first: its usual network, with a security group."""
    return server.usual({"mtu": 1500, "bandwidth": {}}, firewall={"groups": [GROUP], "links": {"eth1": ["web"]}})


def after(server: Server) -> NetworkConfig:
    """Another address and MTU; an interface, a tunnel and a routing table more; another group, and a limit."""
    return server.config(
        {"addresses": ["10.1.0.77/24"]},
        {"addresses": [], "mtu": 1600, "bandwidth": {"egress_mbps": 100}},
        {"kind": "macvlan", "name": "web", "mac": "02:00:00:00:77:01", "parent": "eth1", "addresses": ["10.2.0.77/24"]},
        {
            "kind": "vxlan",
            "name": "vx7",
            "mac": "02:00:00:00:77:02",
            "vni": 7,
            "local": "10.1.0.77",
            "remotes": ["10.1.0.12"],
            "mtu": 1400,
        },
        routes=[
            {"destination": "0.0.0.0/0", "link": "eth0", "gateway": "10.1.0.1"},
            {"destination": "0.0.0.0/0", "link": "web", "gateway": "10.2.0.1", "table": 100},
        ],
        rules=[{"priority": 1000, "table": 100, "source": "10.2.0.77/32"}],
        firewall={"groups": [GROUP | {"id": "db"}], "links": {"web": ["db"]}},
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


def begun_again(server: Server, agents: Agents) -> dict[str, Any]:
    """As it was before the first change, so that the next takes as many steps."""
    assert agents.change(before(server)) == 0, agents.error
    settle(server)
    server.tell("ipv4/conf/all/rp_filter", "1")
    return server.look()


def test_killed_and_cut_off_at_every_step(two: World, server: Server, agents: Agents) -> None:
    """An agent is killed, and its controller out of reach, after each single change to the machine: the guard, another
    process, brings back what was before. What was proven to the end stays.
    """
    assert agents.change(after(server)) == 0, agents.error
    new, steps = server.look(), agents.count
    old = begun_again(server, agents)
    assert old != new

    for at in range(1, steps + 1):
        assert agents.change(after(server), at, "cut", "self") == KILLED, at
        if at == 1:  # it was written down, and nothing done: the guard was not yet there
            assert server.agent("revert", "--state", str(server.directory)).stdout == "taken back\n"
        settle(server)
        two.heal()
        if at < steps:
            assert server.look() == old, at
            assert server.record.held().config == before(server)
        else:
            assert server.look() == new and server.record.held().config == after(server)


def test_cut_off_alone(two: World, server: Server, agents: Agents) -> None:
    """A living agent that loses its controller on the way takes all of it back itself, and says why."""
    settle(server)
    old = server.look()
    for at in (2, 12):
        assert agents.change(after(server), at, "cut", proof_s=HURRIED_S) == 1
        assert "ProofFailed" in agents.error
        assert "the controller at 10.9.0.9:8480 takes no connection" in agents.error
        two.heal()
        settle(server)
        assert server.look() == old and server.record.held().config == before(server), at


def test_guard_dies_first(server: Server, agents: Agents) -> None:
    """Without its guard an agent that fails takes its change back all the same; if both die, the next start does."""
    settle(server)
    old = server.look()
    assert agents.change(after(server), 6, "guard", "cut", proof_s=HURRIED_S) == 1 and "ProofFailed" in agents.error
    assert is_quiet(server) and server.look() == old

    assert agents.change(after(server), 6, "guard", "self") == KILLED
    assert not is_quiet(server) and server.look() != old
    refused = server.apply(before(server), "--plan")
    assert refused.returncode == 0 and not is_quiet(server)
    reverted = server.agent("revert", "--state", str(server.directory))
    assert reverted.stdout == "taken back\n", reverted.stderr
    assert is_quiet(server) and server.look() == old


def test_next_start_takes_back(two: World, server: Server, agents: Agents) -> None:
    """An operator's next change, too, begins with taking back what is pending, and stands upon that."""
    assert agents.change(after(server), 9, "guard", "self") == KILLED
    two.heal()
    done = server.apply(before(server), "--state", str(server.directory))
    assert done.returncode == 0 and "nothing was touched" in done.stdout, done.stdout + done.stderr
    assert is_quiet(server)


def test_hanging_agent(server: Server, agents: Agents) -> None:
    """An agent that hangs is not waited for longer than its time. When it wakes up it does not go on with what was
    taken back.
    """
    settle(server)
    old = server.look()
    begun_s = time.monotonic()
    assert agents.change(after(server), 8, "stop", time_s=HANG_S) is None
    settle(server)
    assert time.monotonic() - begun_s > HANG_S and server.look() == old

    assert agents.resume() == 1
    settle(server)
    assert server.look() == old and server.record.held().config == before(server)


def test_hanging_at_its_very_end(server: Server, agents: Agents) -> None:
    """An agent that hangs while it writes down that its change is proven, as on a disk that does not answer, has that
    word: the guard takes nothing back behind it, but waits, and does so once it is dead.
    """
    settle(server)
    assert agents.change(after(server)) == 0, agents.error
    new, last = server.look(), agents.count
    old = begun_again(server, agents)

    begun_s = time.monotonic()
    assert agents.change(after(server), last - 1, "stop", time_s=HANG_S) is None
    time.sleep(max(0.0, begun_s + HANG_S + 2 - time.monotonic()))
    assert server.look() == new and not is_quiet(server)
    assert agents.resume() == 0
    settle(server)
    assert server.look() == new and server.record.held().config == after(server)

    assert begun_again(server, agents) == old
    assert agents.change(after(server), last - 1, "stop") is None
    assert agents.resume(kill=True) == KILLED
    settle(server)
    assert server.look() == old and server.record.held().config == before(server)
