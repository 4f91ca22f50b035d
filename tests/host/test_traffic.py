# SPDX-License-Identifier: Apache-2.0
"""The door to traffic control, in the real kernel."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from agent.errors import HostError
from agent.host.traffic import BROKEN, IFB_INDEX, RealTraffic, words
from agent.model.network import Bandwidth
from tests.bench.links import Machine
from tests.host.machines import inside, machines
from tests.loops import command

SECONDS = 3
HEADERS = 1500 / 1448  # of an IP packet to TCP's payload, with timestamps


def test_networks_as_words() -> None:
    """A filter compares as many words of 32 bits as the mask has; a network of everything is everything."""
    assert words(ip_network("10.0.0.0/8"), 16) == ["0x0a000000/0xff000000+16"]
    assert words(ip_network("2001:db8:8000::/33"), 8) == ["0x20010db8/0xffffffff+8", "0x80000000/0x80000000+12"]
    assert words(ip_network("::/0"), 8) == ["0x0/0x0+8"]


@pytest.fixture
def two() -> Iterator[list[Machine]]:
    """Machines on a switch without limits."""
    with machines(3) as found:
        yield found


def limit(machine: Machine, bandwidth: Bandwidth) -> dict[int, int]:
    """Set it on eth0, twice; what is there then."""
    for _ in range(2):
        inside(machine, lambda: RealTraffic().limit("eth0", bandwidth))
    return inside(machine, lambda: RealTraffic().shapers())


def goodput_mbps(client: Machine, server: Machine, *words: str) -> float:
    """What iperf3 says that arrived."""
    with subprocess.Popen([*server.inside, "iperf3", "-s", "-1"], stdout=subprocess.DEVNULL) as process:
        listens = [*server.inside, "ss", "-Hltn", "sport = :5201"]
        while not command(*listens):
            time.sleep(0.02)
        told = command(*client.inside, "iperf3", "-J", "-c", server.address, "-t", str(SECONDS), "-O", "1", *words)
        process.wait(timeout=10)
    return float(json.loads(told)["end"]["sum_received"]["bits_per_second"]) / 1e6


@pytest.mark.root
@pytest.mark.parametrize("mbps", [10, 100])
def test_limits_are_kept(two: list[Machine], mbps: int) -> None:
    """In both directions as many bits pass as were said, within 5 %; what is exempt is not held up."""
    one, other, exempt = two
    bandwidth = Bandwidth(egress_mbps=mbps, ingress_mbps=mbps, exempt=(ip_network(f"{exempt.address}/32"),))
    assert list(limit(one, bandwidth).values()) == [bandwidth.handle]

    for words_ in ((), ("-R",)):
        assert goodput_mbps(one, other, *words_) * HEADERS == pytest.approx(mbps, rel=0.05)
        assert goodput_mbps(one, exempt, *words_) > 3 * mbps


@pytest.mark.root
def test_limits_come_and_go(two: list[Machine]) -> None:
    """Each kind of limit is observed as itself, in place of the one before, up to 400 Gbit/s; none leaves nothing."""
    one = two[0]
    fresh = command("tc", "-n", one.namespace, "qdisc"), command("ip", "-n", one.namespace, "-o", "link")
    nets = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    for bandwidth in (
        Bandwidth(egress_mbps=10, exempt=nets),
        Bandwidth(ingress_mbps=100_000, exempt=nets),
        Bandwidth(egress_mbps=400_000, ingress_mbps=1),
        Bandwidth(egress_mbps=25_000),
    ):
        assert list(limit(one, bandwidth).values()) == [bandwidth.handle]
    assert "rate 25233Mbit" in command("tc", "-n", one.namespace, "class", "show", "dev", "eth0")
    assert limit(one, Bandwidth()) == {}

    assert (command("tc", "-n", one.namespace, "qdisc"), command("ip", "-n", one.namespace, "-o", "link")) == fresh


@pytest.mark.root
@pytest.mark.parametrize(
    "harm", ["qdisc del dev eth0 root", "qdisc del dev eth0 ingress", "qdisc del dev ifb{index} root"]
)
def test_parts_that_are_missing_are_noticed(two: list[Machine], harm: str) -> None:
    """Limits of which somebody took a part away are no limits; they are mended, and can be taken away."""
    one, both = two[0], Bandwidth(egress_mbps=10, ingress_mbps=10)
    (index,) = limit(one, both)
    command("tc", "-n", one.namespace, *harm.format(index=index).split())

    assert inside(one, lambda: RealTraffic().shapers()) == {index: BROKEN}
    assert limit(one, both) == {index: both.handle}
    command("tc", "-n", one.namespace, *harm.format(index=index).split())
    assert limit(one, Bandwidth()) == {}


@pytest.mark.root
def test_what_others_left(two: list[Machine]) -> None:
    """A root of somebody else stays when no limit of ours goes, and an ifb that was left over is no obstacle."""
    one = two[0]
    command("tc", "-n", one.namespace, "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb")
    assert limit(one, Bandwidth()) == {}
    assert "htb 1:" in command("tc", "-n", one.namespace, "qdisc")

    (index,) = limit(one, Bandwidth(ingress_mbps=10))
    assert "htb 1:" in command("tc", "-n", one.namespace, "qdisc")
    command("tc", "-n", one.namespace, "qdisc", "del", "dev", f"ifb{index}", "root")
    assert f"{IFB_INDEX + index}: ifb{index}" in command("ip", "-n", one.namespace, "-o", "link")
    assert list(limit(one, Bandwidth(ingress_mbps=20))) == [index]


@pytest.mark.root
def test_a_link_that_is_not_there(two: list[Machine]) -> None:
    """It is named in the error."""
    with pytest.raises(HostError, match="limiting the bandwidth of eth7: No such device"):
        inside(two[0], lambda: RealTraffic().limit("eth7", Bandwidth(egress_mbps=10)))
