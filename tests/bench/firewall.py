# SPDX-License-Identifier: Apache-2.0
"""Security groups and bandwidth limits: what a change costs, against `nft -f`; and how well a limit is kept.

Each way of loading has a machine (a namespace) of its own, so that none reads what another one loaded. Every round
replaces one firewall of 10,000 rules by another one, in place; all by turns.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from random import Random
from statistics import median

from agent.apply.network.firewall import change_members, replace_firewall
from agent.apply.network.ruleset import Ruleset
from agent.apply.network.security import ALWAYS, ruleset
from agent.host.fake import FakeHost
from agent.host.files import RealFiles
from agent.host.nftables import RealNftables
from agent.host.traffic import RealTraffic
from agent.model.network import Bandwidth, Direction, Firewall, SecurityGroup, SecurityRule
from agent.model.network.step import ChangeMembers, ReplaceFirewall
from tests.bench.bars import Bar, end, ratio_bar
from tests.bench.files import say
from tests.bench.links import Machine
from tests.host.machines import inside, machines
from tests.loops import command

RULES, PORTS, MEMBERS = 10_000, 200, 10_000
NETWORKS = 10  # one rule in so many is for a network, the others for a host
REPLACED, MEMBER, OFF = 1.2, 0.01, 0.05
LIMITS_MBPS = (10, 100, 1000)
SECONDS = 5
HEADERS = 1500 / 1448  # an IP packet, and TCP's payload in it


def main(rounds: int, *, as_json: bool) -> None:
    """Print the bars; status 1 if one was missed."""
    bars = [
        *(bar for of in KINDS for bar in replacements(max(rounds, 1), of)),
        *(bar for mbps in LIMITS_MBPS for bar in accuracy(mbps)),
    ]
    end(bars, as_json=as_json)


def alike(variant: int) -> Iterator[SecurityRule]:
    """Of many hosts and some networks on each of some ports."""
    return (
        SecurityRule(direction=Direction.IN, protocol="tcp", first_port=port, last_port=port, remote=remote)
        for number in range(RULES // PORTS)
        for port in range(1 + variant, PORTS + 1 + variant)
        for remote in [
            ip_network(f"10.{port % 250}.{number}.0/24")
            if number % NETWORKS == 0
            else ip_network(f"10.{port % 250}.{number}.{1 + variant}/32")
        ]
    )


def different(variant: int) -> Iterator[SecurityRule]:
    """No two of the same ports."""
    return (
        SecurityRule(
            direction=Direction.IN,
            protocol="tcp",
            first_port=1 + number,
            last_port=2 + number + variant,
            remote=ip_network(f"10.{variant}.{number // 250}.{number % 250}/32"),
        )
        for number in range(RULES)
    )


def random(variant: int) -> Iterator[SecurityRule]:
    """Networks of any size, in each other, with any ports: the kernel cuts each range into a dozen."""
    chance = Random(variant)
    for _ in range(RULES):
        first, last = sorted((chance.randint(1, 65535), chance.randint(1, 65535)))
        network = ip_network((chance.getrandbits(32), chance.choice((8, 16, 20, 24, 28, 32))), strict=False)
        yield SecurityRule(direction=Direction.IN, protocol="tcp", first_port=first, last_port=last, remote=network)


KINDS: dict[str, Callable[[int], Iterator[SecurityRule]]] = {
    "of 200 ports": alike,
    "all different": different,
    "at random": random,
}


def firewall(of: str, variant: int) -> Firewall:
    """Rules, and one for the members of a group."""
    rules = [*KINDS[of](variant), SecurityRule(direction=Direction.IN, remote_group="web")]
    members = tuple(IPv4Address("172.16.0.0") + number for number in range(MEMBERS))
    return Firewall(
        groups=(SecurityGroup(id="web", rules=tuple(rules)),), links={"eth0": ("web",)}, members={"web": members}
    )


def linear(desired: Firewall) -> str:
    """The same, as one writes it by hand: a rule for each rule; replaced in place, too."""
    rules = [
        f"ip saddr {rule.remote} tcp dport {ports(rule)} accept" if rule.remote else "ip saddr @members accept"
        for rule in desired.groups[0].rules
    ]
    members = ", ".join(map(str, desired.members["web"]))
    chain = "chain input { type filter hook input priority filter; policy accept; "
    return "\n".join(
        [
            f"table inet plain {{ set members {{ type ipv4_addr; }}\n{chain}}}\n}}",
            "flush chain inet plain input\nflush set inet plain members",
            f"table inet plain {{ set members {{ type ipv4_addr; elements = {{ {members} }}\n}}",
            chain,
            'iifname != "eth0" accept',
            *ALWAYS[Direction.IN],
            *rules,
            "drop",
            "}\n}\n",
        ]
    )


def ports(rule: SecurityRule) -> str:
    """As nft writes them."""
    return f"{rule.first_port}" if rule.first_port == rule.last_port else f"{rule.first_port}-{rule.last_port}"


def timed(work: Callable[..., object], *arguments: object) -> Callable[[], float]:
    """Seconds."""

    def measured() -> float:
        began = time.monotonic()
        work(*arguments)
        return time.monotonic() - began

    return measured


def replacements(rounds: int, of: str) -> Iterator[Bar]:
    """Ours, and `nft -f` of both forms, by turns; then members."""
    firewalls = [firewall(of, variant) for variant in range(2)]
    with machines(3) as (one, plain, same), tempfile.TemporaryDirectory() as folder:
        host = replace(FakeHost.with_files({}), nftables=RealNftables(), files=RealFiles(folder))
        ours, by_hand, by_script, joined = [], [], [], []
        for number in range(rounds + 1):  # the first is for nothing: the tables are empty
            desired = firewalls[number % 2]  # its digest is known: the planner compared it
            say(f"{of}: round {number} of {rounds}")
            ours.append(inside(one, timed(replace_firewall, host, ReplaceFirewall(firewall=desired))))
            by_hand.append(nft(plain, linear(desired), Path(folder)))
            by_script.append(
                nft(
                    same,
                    in_place(ruleset(desired, number + 1), ruleset(firewalls[1 - number % 2], number)),
                    Path(folder),
                )
            )
            joined.append(inside(one, timed(change_members, host, joining(desired, number))))
        pairs = {
            name: list(zip(ours[1:], theirs[1:], strict=True))
            for name, theirs in (("hand", by_hand), ("script", by_script))
        }
        say(f"ours {ms(ours)}; nft -f by hand {ms(by_hand)}; nft -f of our script {ms(by_script)}; member {ms(joined)}")
        yield ratio_bar(f"10,000 rules, {of}: ours / nft -f of a rule for each", pairs["hand"], REPLACED)
        yield ratio_bar(f"10,000 rules, {of}: ours / nft -f of our script", pairs["script"], float("inf"))
        yield ratio_bar(
            "a member joins 10,000 / nft -f of all", list(zip(joined[1:], by_hand[1:], strict=True)), MEMBER
        )


def in_place(new: Ruleset, old: Ruleset) -> str:
    """One script that takes the former sets away, too."""
    chains, sets = new.left_over([*old.chains, old.mark], old.sets)
    gone = [f"delete set {new.table} {name}" for name in sets] + [f"delete chain {new.table} {name}" for name in chains]
    return new.script() + ("\n".join(gone) + "\n" if old.generation else "")


def joining(desired: Firewall, number: int) -> ChangeMembers:
    """Somebody new."""
    return ChangeMembers(add={"web": (IPv4Address("192.0.2.1") + number,)}, digest=desired.digest[::-1])


def nft(machine: Machine, script: str, folder: Path) -> float:
    """Seconds of a process that loads it."""
    file = folder / "script.nft"
    file.write_text(script)
    return timed(command, *machine.inside, "nft", "-f", str(file))()


def ms(times: Sequence[float]) -> str:
    """The median, without the first."""
    return f"{median(times[1:]) * 1000:.1f} ms"


def accuracy(mbps: int) -> Iterator[Bar]:
    """How far iperf3's goodput is off the limit, in each direction; and with the headers, which the limit counts."""
    with machines(2) as (one, other):
        inside(one, lambda: RealTraffic().limit("eth0", Bandwidth(egress_mbps=mbps, ingress_mbps=mbps)))
        with serving(other):
            for name, words in (("egress", ()), ("ingress", ("-R",))):
                said = command(*one.inside, "iperf3", "-J", "-c", other.address, "-t", str(SECONDS), "-O", "1", *words)
                rate = float(json.loads(said)["end"]["sum_received"]["bits_per_second"]) / 1e6
                say(f"{name} limit {mbps} Mbit/s: {rate:.1f} Mbit/s of payload, {rate * HEADERS:.1f} with headers")
                yield Bar(f"{name} {mbps} Mbit/s: payload is off by", abs(rate / mbps - 1), OFF)
                yield Bar(f"{name} {mbps} Mbit/s: with headers", abs(rate * HEADERS / mbps - 1), OFF)


@contextmanager
def serving(machine: Machine) -> Iterator[None]:
    """iperf3, once it listens."""
    with subprocess.Popen(
        [*machine.inside, "iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not command(*machine.inside, "ss", "-Hltn", "sport = :5201"):
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
