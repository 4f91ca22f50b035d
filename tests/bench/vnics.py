# SPDX-License-Identifier: Apache-2.0
"""Bringing up many VNICs, and finding nothing to do: CPU seconds of the agent beside those of `ip -batch`.

A VNIC is a macvlan with MTU, an address, two routes in a table of its own and the rule that leads to it: six
operations. Ours is the whole pass of an agent that runs: look, plan, apply, look again, compare. Each way has a network
namespace of its own, new in each round.
"""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.host.real import host as open_host
from agent.model.network import NetworkConfig
from agent.model.network.plan import NetworkPlan
from agent.networking import Networking
from tests.bench.bars import Bar, end, ratio_bar
from tests.bench.files import say
from tests.host.namespace import in_new_network

COUNTS = (100, 1000)
BUILD, NOTHING = 3.0, 0.2
MAC = "02:00:00:00:00:01"
GATEWAY = "169.254.1.1"


def main(rounds: int, *, as_json: bool) -> None:
    """Print the bars; status 1 if one was missed."""
    bars = [bar for count in COUNTS for bar in measured(count, max(rounds, 1))]
    end(bars, as_json=as_json)


def measured(count: int, rounds: int) -> list[Bar]:
    """By turns, so that a busy machine is busy for both."""
    built, nothing = [], []
    for number in range(rounds):
        say(f"{count} VNICs, round {number + 1} of {rounds}")
        theirs = in_new_network(lambda: by_ip(count))
        ours = in_new_network(lambda: by_agent(count))
        built.append((ours[0], theirs))
        nothing.append((ours[1], theirs))
    return [
        ratio_bar(f"{count} VNICs brought up / ip -batch, CPU", built, BUILD),
        ratio_bar(f"{count} VNICs, nothing to do / ip -batch, CPU", nothing, NOTHING),
    ]


def cable() -> None:
    """The NIC below."""
    subprocess.run(
        ["ip", "link", "add", "name", "nic", "address", MAC, "type", "veth", "peer", "name", "far"], check=True
    )
    subprocess.run(["ip", "link", "set", "dev", "nic", "up"], check=True)


def by_ip(count: int) -> float:
    """CPU seconds of ip(8), user and system."""
    cable()
    lines = []
    for number in range(count):
        name, table, address = f"v{number}", 1000 + number, address_of(number)
        lines += [
            f"link add link nic name {name} address {mac_of(number)} type macvlan mode private",
            f"link set dev {name} mtu 1500 up",
            f"addr add {address}/32 dev {name}",
            f"route add {GATEWAY}/32 dev {name} table {table}",
            f"route add default via {GATEWAY} dev {name} onlink table {table}",
            f"rule add from {address}/32 table {table} priority {table}",
        ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_agent(count: int) -> tuple[float, float]:
    """CPU seconds of this thread: of bringing them up, and of a pass that finds nothing to do."""
    cable()
    desired = config(count)
    with TemporaryDirectory() as root:
        Path(root, "proc/sys/net/ipv4/conf/all").mkdir(parents=True)
        networking = Networking(open_host(root), persist=False)
        built = cpu_s(lambda: bring_up(networking, desired))
        settled = networking.network_state(desired)
        return built, cpu_s(lambda: nothing_to_do(networking, desired, settled))


def bring_up(networking: Networking, desired: NetworkConfig) -> None:
    """What `NetworkCommit` does between arming its guard and disarming it, but for the proofs: nobody answers here."""
    state = networking.network_state(desired)
    plan = networking.plan_network(state, desired, NetworkConfig())
    steps = tuple(step for step in plan.steps if step.kind not in ("prove_network", "set_sysctl"))
    networking.apply_network(NetworkPlan(nics=plan.nics, steps=steps), lambda _: None)
    left = networking.unmet(networking.network_state(desired), desired, desired)
    assert all("rp_filter" in line for line in left), left[:3]


def nothing_to_do(networking: Networking, desired: NetworkConfig, settled: object) -> None:
    """What `Convergence.round` does where nothing has changed."""
    assert networking.network_state(desired) is settled


def cpu_s(work: Callable[[], None]) -> float:
    """Of this thread; the kernel's work for it is part of it."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def config(count: int) -> NetworkConfig:
    """The same VNICs as a desired network."""
    links = [
        {"kind": "macvlan", "name": f"v{number}", "parent": "nic", "mac": mac_of(number), "mtu": 1500,
         "addresses": [f"{address_of(number)}/32"]}
        for number in range(count)
    ]  # fmt: skip
    routes = [
        route
        for number in range(count)
        for route in (
            {"destination": f"{GATEWAY}/32", "link": f"v{number}", "table": 1000 + number},
            {"destination": "0.0.0.0/0", "link": f"v{number}", "gateway": GATEWAY, "onlink": True,
             "table": 1000 + number},
        )
    ]  # fmt: skip
    rules = [
        {"priority": 1000 + number, "table": 1000 + number, "source": f"{address_of(number)}/32"}
        for number in range(count)
    ]
    nic = {"kind": "ethernet", "name": "nic", "mac": MAC}
    return NetworkConfig.model_validate({"links": [nic, *links], "routes": routes, "rules": rules})


def mac_of(number: int) -> str:
    """Of a VNIC."""
    return f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"


def address_of(number: int) -> str:
    """Of a VNIC."""
    return f"10.0.{number >> 8}.{number & 255}"
