# SPDX-License-Identifier: Apache-2.0
"""Golden scripts of nf_tables, and what of them must never be."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, ip_network
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.apply.network import eip, security
from agent.apply.network.firewall import (
    LARGEST_BYTES,
    SAVED_FIREWALL,
    SAVED_MEMBERS,
    change_members,
    changes,
    replace_firewall,
    shortened,
)
from agent.apply.network.reach import merged
from agent.errors import HostError, InputError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan
from agent.inventory.network.firewall import loaded_digests
from agent.model.network import Direction, Eip, EipMode, Firewall, SecurityGroup, SecurityRule, eips_digest
from agent.model.network.nft import CHANGED, FIREWALL_TABLE, Mark, mark_of, newest
from agent.model.network.step import ChangeMembers, ReplaceFirewall

IN, OUT = Direction.IN, Direction.OUT
WEB = (
    SecurityRule(direction=IN, protocol="tcp", first_port=80, last_port=90),
    SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22, remote=ip_network("10.0.0.1/32")),
    *(
        SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22, remote=ip_network(f"10.0.9.{end}/32"))
        for end in range(8)
    ),
    SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22, remote=ip_network("10.0.0.0/25")),
    SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22, remote=ip_network("10.0.0.128/25")),
    SecurityRule(direction=IN, protocol="tcp", first_port=22, last_port=22, remote_group="web"),
    SecurityRule(direction=IN, protocol="icmp", icmp_type=8, icmp_code=0),
    SecurityRule(direction=IN, version=6, protocol="icmp"),
    SecurityRule(direction=IN, version=6, protocol=47, remote=ip_network("2001:db8::/32")),
    *(SecurityRule(direction=OUT, protocol="udp", remote=ip_network(f"{end}.0.0.0/8")) for end in range(18, 1, -2)),
    SecurityRule(direction=OUT, protocol="udp", remote=ip_network("10.0.0.0/24")),
    SecurityRule(direction=OUT, version=6),
)
FIREWALL = Firewall.model_validate(
    {
        "groups": (SecurityGroup(id="web", rules=WEB),),
        "links": {"bond0.7": ("web",), "eth9": ()},
        "members": {"web": ("10.0.0.7", "fd00::7")},
    }
)
SCRIPT = f"""\
add table inet bms_agent
add chain inet bms_agent input {{ type filter hook input priority filter; policy accept; }}
add chain inet bms_agent output {{ type filter hook output priority filter; policy accept; }}
add chain inet bms_agent always-in
add chain inet bms_agent group-web-in
add chain inet bms_agent link-bond0.7-in
add chain inet bms_agent always-out
add chain inet bms_agent group-web-out
add chain inet bms_agent link-bond0.7-out
add set inet bms_agent members-web-4-7 {{ type ipv4_addr; }}
add set inet bms_agent members-web-6-7 {{ type ipv6_addr; }}
add set inet bms_agent allow-web-in-4-tcp-port-7 {{ type ipv4_addr . inet_service; }}
add map inet bms_agent links-in-7 {{ type ifname : verdict; }}
add set inet bms_agent allow-web-out-4-udp-any-any-nets-7 {{ type ipv4_addr; flags interval; }}
add map inet bms_agent links-out-7 {{ type ifname : verdict; }}
flush table inet bms_agent
add element inet bms_agent members-web-4-7 {{ 10.0.0.7 }}
add element inet bms_agent members-web-6-7 {{ fd00::7 }}
add rule inet bms_agent always-in ct state established,related accept
add rule inet bms_agent always-in ct state invalid drop
add rule inet bms_agent always-in meta nfproto ipv4 udp sport 67 udp dport 68 accept
add rule inet bms_agent always-in meta nfproto ipv6 udp sport 547 udp dport 546 accept
add rule inet bms_agent always-in icmpv6 type 134-136 accept
add rule inet bms_agent always-in icmpv6 type 130 accept
add rule inet bms_agent group-web-in meta nfproto ipv4 tcp dport 80-90 accept
add rule inet bms_agent group-web-in ip saddr @members-web-4-7 tcp dport 22 accept
add rule inet bms_agent group-web-in meta nfproto ipv4 icmp type 8 icmp code 0 accept
add rule inet bms_agent group-web-in meta nfproto ipv6 meta l4proto 58 accept
add rule inet bms_agent group-web-in ip6 saddr 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff meta l4proto 47 accept
add element inet bms_agent allow-web-in-4-tcp-port-7 \
{{ 10.0.0.1 . 22, 10.0.9.0 . 22, 10.0.9.1 . 22, 10.0.9.2 . 22, 10.0.9.3 . 22, 10.0.9.4 . 22, 10.0.9.5 . 22, 10.0.9.6 \
. 22, 10.0.9.7 . 22 }}
add rule inet bms_agent group-web-in ip saddr . tcp dport @allow-web-in-4-tcp-port-7 accept
add rule inet bms_agent group-web-in ip saddr 10.0.0.0-10.0.0.127 tcp dport 22 accept
add rule inet bms_agent group-web-in ip saddr 10.0.0.128-10.0.0.255 tcp dport 22 accept
add rule inet bms_agent link-bond0.7-in jump always-in
add rule inet bms_agent link-bond0.7-in jump group-web-in
add rule inet bms_agent link-bond0.7-in drop
add element inet bms_agent links-in-7 {{ "bond0.7" : goto link-bond0.7-in }}
add rule inet bms_agent input meta sdifname vmap @links-in-7
add rule inet bms_agent input iifname vmap @links-in-7
add rule inet bms_agent always-out ct state established,related accept
add rule inet bms_agent always-out ct state invalid drop
add rule inet bms_agent always-out meta nfproto ipv4 udp sport 68 udp dport 67 accept
add rule inet bms_agent always-out meta nfproto ipv6 udp sport 546 udp dport 547 accept
add rule inet bms_agent always-out icmpv6 type 133 accept
add rule inet bms_agent always-out icmpv6 type 135-136 accept
add rule inet bms_agent always-out icmpv6 type 131-132 accept
add rule inet bms_agent always-out icmpv6 type 143 accept
add element inet bms_agent allow-web-out-4-udp-any-any-nets-7 \
{{ 2.0.0.0-2.255.255.255, 4.0.0.0-4.255.255.255, 6.0.0.0-6.255.255.255, 8.0.0.0-8.255.255.255, \
10.0.0.0-10.255.255.255, 12.0.0.0-12.255.255.255, 14.0.0.0-14.255.255.255, 16.0.0.0-16.255.255.255, \
18.0.0.0-18.255.255.255 }}
add rule inet bms_agent group-web-out ip daddr @allow-web-out-4-udp-any-any-nets-7 meta l4proto 17 accept
add rule inet bms_agent group-web-out meta nfproto ipv6 accept
add rule inet bms_agent link-bond0.7-out jump always-out
add rule inet bms_agent link-bond0.7-out jump group-web-out
add rule inet bms_agent link-bond0.7-out drop
add element inet bms_agent links-out-7 {{ "bond0.7" : goto link-bond0.7-out }}
add rule inet bms_agent output oifname vmap @links-out-7
add chain inet bms_agent loaded-{FIREWALL.digest}-39-7
"""
EIPS = (
    Eip(
        address=IPv4Address("203.0.113.1"),
        private=IPv4Address("10.0.0.5"),
        link="eth0",
        mode=EipMode.HOST,
        exempt=(ip_network("10.0.0.0/9"), ip_network("10.128.0.0/9")),
    ),
    Eip(address=IPv4Address("203.0.113.2"), private=IPv4Address("10.0.0.6"), link="eth0"),
)
EIP_SCRIPT = f"""\
add table ip bms_agent
add chain ip bms_agent prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain ip bms_agent output {{ type nat hook output priority -100; policy accept; }}
add chain ip bms_agent postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
add map ip bms_agent private-3 {{ type ipv4_addr : ipv4_addr; }}
add map ip bms_agent public-3 {{ type ipv4_addr : ipv4_addr; }}
add set ip bms_agent exempt-3 {{ type ipv4_addr . ipv4_addr; flags interval; }}
flush table ip bms_agent
add element ip bms_agent private-3 {{ 203.0.113.1 : 10.0.0.5 }}
add element ip bms_agent public-3 {{ 10.0.0.5 : 203.0.113.1 }}
add element ip bms_agent exempt-3 {{ 10.0.0.5 . 10.0.0.0/8 }}
add rule ip bms_agent prerouting dnat to ip daddr map @private-3
add rule ip bms_agent output dnat to ip daddr map @private-3
add rule ip bms_agent postrouting ip saddr . ip daddr @exempt-3 return
add rule ip bms_agent postrouting snat to ip saddr map @public-3
add chain ip bms_agent loaded-{eips_digest(EIPS)}-4-3
"""


def test_a_firewall() -> None:
    """The whole script: the table and what hooks stay, no set is without a name, none is used twice."""
    made = security.ruleset(FIREWALL, 7)

    assert made.script() == SCRIPT
    assert "delete" not in SCRIPT
    assert not [line for line in SCRIPT.splitlines() if line.startswith("add rule") and "{" in line]
    assert made.left_over(("input", "group-old-in", "link-bond0.7-in"), ("members-web-4-6", "members-web-6-7")) == (
        ["group-old-in"],
        ["members-web-4-6"],
    )


def test_eips() -> None:
    """Two maps; an EIP of the gateway's is in none."""
    assert eip.ruleset(EIPS, 3).script() == EIP_SCRIPT


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6))))
def test_merged(pairs: list[tuple[int, int]]) -> None:
    """Merged spans hold what they held before, and none of them touches another."""
    spans = [(first, first + more) for first, more in pairs]
    found = merged(list(spans))

    assert {n for low, high in found for n in range(low, high + 1)} == {
        n for low, high in spans for n in range(low, high + 1)
    }
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(found))


def test_no_link_no_rule() -> None:
    """Where no link is in a group, there is no rule at all: connections are not even tracked."""
    text = security.ruleset(FIREWALL.model_copy(update={"links": {"eth9": ()}})).script()

    assert "rule" not in text


@pytest.mark.parametrize("name", ['x"', "x}", "x;y", "x\\", "x*", "ü", "$x", "x#"])
def test_a_name_becomes_no_command(name: str) -> None:
    """Names that could end a string, or begin a command, are refused."""
    with pytest.raises(InputError, match="characters that no rule can hold"):
        security.ruleset(FIREWALL.model_copy(update={"links": {name: ("web",)}}))
    with pytest.raises(InputError, match="characters that no rule can hold"):
        security.ruleset(FIREWALL.model_copy(update={"members": {name: ()}}))


def test_marks() -> None:
    """A table is known by its newest mark, only while its chains are used as often as when it was loaded."""
    name = str(Mark("abc", 3, 2))

    assert mark_of({name: 0, "input": 1, "x": 2}) == Mark("abc", 3, 2)
    assert mark_of({name: 0, str(Mark("old", 9, 1)): 0, "input": 3}) == Mark("abc", 3, 2)
    assert mark_of({name: 0, "input": 1, "x": 1}) is None
    assert mark_of({"input": 1}) is None
    assert newest([]) is None


def change(add: str, remove: str, digest: str) -> ChangeMembers:
    """One comes, one goes."""
    return ChangeMembers(add={"web": (IPv4Address(add),)}, remove={"web": (IPv4Address(remove),)}, digest=digest)


def test_changes_are_saved() -> None:
    """They are beside the firewall, one a line; of many that undo each other the last ones are enough."""
    host = FakeHost.with_files({})
    replace_firewall(host, ReplaceFirewall(firewall=FIREWALL))
    for number in range(3):
        change_members(host, change(f"10.0.0.{8 + number}", f"10.0.0.{7 + number}", f"d{number}"))
        assert loaded_digests(host) == (f"d{number}", None)
    text = host.files.read_text(SAVED_MEMBERS)
    first = security.ruleset(FIREWALL)
    web = f"element {FIREWALL_TABLE} members-web-4-1"

    assert host.files.read_text(SAVED_FIREWALL) == first.script()
    assert text.splitlines()[:5] == [
        f"add {web} {{ 10.0.0.7 }}",
        f"delete {web} {{ 10.0.0.7 }}",
        f"add {web} {{ 10.0.0.8 }}",
        f"delete chain {FIREWALL_TABLE} {first.mark}",
        f"add chain {FIREWALL_TABLE} {Mark('d0', first.uses, 1)}",
    ]
    assert shortened(text).splitlines() == [
        *(f"{verb} {web} {{ 10.0.0.{end} }}" for end in (7, 8, 9) for verb in ("add", "delete")),
        f"add {web} {{ 10.0.0.10 }}",
        f"delete chain {FIREWALL_TABLE} {first.mark}",
        f"add chain {FIREWALL_TABLE} {Mark('d2', first.uses, 1)}",
    ]


@pytest.mark.parametrize("effect", Effect)
def test_every_fault(effect: Effect) -> None:
    """Whatever call fails, or is the last: the former firewall stands or the next one does, and the next time it is the
    next one, with nothing left of the former.
    """
    after = FIREWALL.model_copy(update={"links": {"eth0": ("web",)}})
    clean = FakeHost.with_files({})
    for each in (FIREWALL, after):
        replace_firewall(clean, ReplaceFirewall(firewall=each))
    for at in count(1):
        host = FakeHost.with_files({})
        replace_firewall(host, ReplaceFirewall(firewall=FIREWALL))
        faulty = host.restarted(FaultPlan(at=at, effect=effect))
        with suppress(HostError, Died):
            replace_firewall(faulty, ReplaceFirewall(firewall=after))
        again = host.restarted()
        assert loaded_digests(again)[0] in (FIREWALL.digest, after.digest, CHANGED)
        replace_firewall(again, ReplaceFirewall(firewall=after))
        assert loaded_digests(again)[0] == after.digest
        table, other = again.machine.nf_tables[FIREWALL_TABLE], clean.machine.nf_tables[FIREWALL_TABLE]
        assert (len(table.chains), len(table.sets)) == (len(other.chains), len(other.sets))
        if len(faulty.faults.calls) < at:
            break


def test_changes_do_not_pile_up() -> None:
    """Somebody who comes and goes for ever fills no disk; a new firewall knows nothing of the changes before it."""
    host = FakeHost.with_files({})
    replace_firewall(host, ReplaceFirewall(firewall=FIREWALL))
    host.files.append(SAVED_MEMBERS, changes({"x": [IPv4Address("10.0.0.8")]}, {}, "a", "a").encode() * 40_000)
    before = len(host.files.read_text(SAVED_MEMBERS))
    change_members(host, change("10.0.0.7", "10.0.0.8", "d"))

    assert before > LARGEST_BYTES
    assert len(host.files.read_text(SAVED_MEMBERS)) < 1000
    replace_firewall(host, ReplaceFirewall(firewall=FIREWALL))
    assert not host.files.exists(SAVED_MEMBERS)


def test_members_of_what_is_not_loaded() -> None:
    """Without the firewall that they belong to, members are refused: the next plan loads all of it."""
    with pytest.raises(HostError, match="not as it was loaded"):
        change_members(FakeHost.with_files({}), change("10.0.0.8", "10.0.0.7", "d"))
