# SPDX-License-Identifier: Apache-2.0
"""What happens to a network that nobody ordered, before the eyes of a resident agent: changes by hand, lost carriers,
somebody else with the same address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from agent.config import Settings
from agent.daemon import Daemon, Open
from agent.host import real
from agent.job.convergence import Convergence
from agent.life.sd_notify import Notifier
from agent.model.network import NetworkConfig
from agent.model.protocol import Session
from agent.networking import Networking
from tests.loops import command
from tests.network.world import URL, Server, World

pytestmark = pytest.mark.root
SESSION = Session(session_id="s", boot_id="boot-1", mode="service", agent_version="1")
TOLD = "the network was changed by somebody else"
PATIENCE_S = 15.0
CARRIER_S = 1.2
"""Until the kernel has told all of a carrier, IPv6 included (LINKWATCH, net/core/link_watch.c: once a second)."""


@dataclass
class Resident:
    """A resident agent, and what it has logged."""

    convergence: Convergence
    logs: list[MutableMapping[str, Any]]

    def told(self, event: str) -> list[MutableMapping[str, Any]]:
        """Log entries of that text, or that event."""
        return [entry for entry in list(self.logs) if event in (entry.get("event"), entry.get("happened"))]

    def desire(self, generation: int, config: NetworkConfig) -> None:
        """Until it holds."""
        self.convergence.want(generation, config)
        wait_for(lambda: self.convergence.applied_generation == generation and self.convergence.fault is None)


def wait_for(holds: Callable[[], bool], poll_s: float = 0.02, said: Callable[[], object] = lambda: "") -> float:
    """The seconds that it took; what there is to be said if it did not come to be."""
    begun_s = time.monotonic()
    while not holds():
        assert time.monotonic() - begun_s < PATIENCE_S, said()
        time.sleep(poll_s)
    return time.monotonic() - begun_s


@contextmanager
def resident(server: Server, directory: Path, config: NetworkConfig) -> Iterator[Resident]:
    """A daemon on a server, whose network holds. Its controller takes calls and answers none."""
    host = real.host()
    convergence = Convergence(host, Networking(host, URL, persist=False), str(server.directory))
    settings = Settings(state_dir=server.directory, runtime_dir=directory)
    opened = Open(session=SESSION, url=URL, node_id="node-1", credential=SecretStr("c"))
    stop = Event()
    convergence.want(1, config)
    with capture_logs() as logs:
        thread = Thread(
            target=server.inside,
            args=(lambda: Daemon(host, settings, opened, convergence).run(stop, Notifier({})),),
            name="daemon",
        )
        thread.start()
        try:
            wait_for(lambda: convergence.applied_generation == 1)
            time.sleep(CARRIER_S)
            yield Resident(convergence, logs)
        finally:
            stop.set()
            thread.join()


def told_of(agent: Resident, words: str) -> str:
    """What has become of a change, for whoever reads that it was not put right."""
    return f"{words}: {agent.convergence.fault}, {agent.logs[-12:]}"


def kept(server: Server, **rest: Any) -> NetworkConfig:
    """The usual network, with a rule, a table and an interface more."""
    usual = server.usual({"mtu": 1500, "bandwidth": {"egress_mbps": 100}}).model_dump(mode="json")
    web: dict[str, Any] = {"kind": "macvlan", "name": "web", "mac": "02:00:00:00:77:01", "parent": "eth1"}
    web |= {"mtu": 1500, "addresses": ["10.7.0.1/24"]}
    table = {"destination": "0.0.0.0/0", "link": "eth1", "gateway": "10.2.0.1", "table": 100}
    more = {"links": [*usual["links"], web], "routes": [*usual["routes"], table]}
    rule = {"priority": 1000, "table": 100, "source": "10.2.0.11/32"}
    return NetworkConfig.model_validate(usual | more | {"rules": [rule]} | rest)


CHANGES = (
    "ip address delete 10.2.0.11/24 dev eth1",
    "ip route delete default",
    "ip route replace default via 10.1.0.12",
    "ip link set eth1 down",
    "ip link set eth1 mtu 1400",
    "ip rule delete priority 1000",
    "ip link delete web",
    "ip route delete default table 100",
    "tc qdisc delete dev eth1 root",
)


def test_put_right(server: Server, tmp_path: Path) -> None:
    """What somebody changes by hand is told within a second, and put right; what somebody adds is theirs."""
    with resident(server, tmp_path, kept(server)) as agent:
        before = server.look()
        times_s = []
        for count, words in enumerate(CHANGES, 1):
            program, *rest = words.split()
            command(program, "-n", server.namespace, *rest)
            told = partial(told_of, agent, words)
            times_s.append(wait_for(lambda count=count: len(agent.told(TOLD)) >= count, said=told))  # type: ignore[misc]
            wait_for(lambda: server.record.pending() is None and server.look() == before, 0.2, told)
        server.ip("rule", "add", "priority", "900", "from", "192.0.2.1", "lookup", "100")
        server.ip("route", "add", "192.0.2.0/24", "via", "10.2.0.9")
        time.sleep(0.5)
        assert len(agent.told(TOLD)) == len(CHANGES)
        assert "192.0.2.1" in server.ip("rule") and "192.0.2.0/24" in server.ip("route")

    assert median(times_s) < 1.0, times_s


def test_only_reported(server: Server, tmp_path: Path) -> None:
    """With that policy nothing is put right: the fault says what would do it, until somebody does it."""
    with resident(server, tmp_path, kept(server, drift="report")) as agent:
        server.ip("address", "delete", "10.7.0.1/24", "dev", "web")
        wait_for(lambda: agent.convergence.fault is not None)
        fault = agent.convergence.fault
        assert fault is not None and fault.code == "NETWORK.DRIFTED" and "add 10.7.0.1/24 to web" in fault.message
        time.sleep(0.5)
        assert "10.7.0.1" not in server.ip("address")

        server.ip("address", "add", "10.7.0.1/24", "dev", "web")
        wait_for(lambda: agent.convergence.fault is None)


def test_events(two: World, server: Server, tmp_path: Path) -> None:
    """A carrier that goes and comes back, and an IPv6 address that another server has, are told as they happen; neither
    is a change that the agent would put right.
    """
    other = two.servers[1]
    other.ip("link", "set", "eth1", "up")
    other.ip("address", "add", "fd02::5/64", "dev", "eth1")
    with resident(server, tmp_path, kept(server)) as agent:
        for state, words in (("down", "eth1 has lost its carrier"), ("up", "eth1 has a carrier")):
            two.route("link", "set", two.port(server, 1), state)
            wait_for(lambda words=words: any(words in str(entry) for entry in list(agent.logs)))  # type: ignore[misc]
        server.tell("ipv6/conf/eth1/accept_dad", "1")
        server.ip("address", "add", "fd02::5/64", "dev", "eth1")
        wait_for(lambda: any("fd02::5/64 of eth1 is also somebody else's" in str(entry) for entry in list(agent.logs)))
        assert agent.told(TOLD) == []
