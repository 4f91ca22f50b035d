# SPDX-License-Identifier: Apache-2.0
"""The fake doors to packets keep the promises of the real ones."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agent.errors import HostError
from agent.host.fake import FakeHost
from agent.model.network import Bandwidth

TABLE = "inet t"
SCRIPT = f"""
# a comment
add table {TABLE}
add map {TABLE} m {{ type ifname : verdict; }}
add set {TABLE} s {{ type ipv4_addr; }}
add chain {TABLE} one
add chain {TABLE} two
add rule {TABLE} one ip saddr @s jump two
add element {TABLE} m {{ "a" : goto two, "b" : goto one }}
add element {TABLE} s {{ 10.0.0.1, 10.0.0.2 }}
"""


def test_chains_are_counted_as_the_kernel_does() -> None:
    """By their rules, and by jumps to them out of rules and maps; a flushed table keeps its maps."""
    door = FakeHost.with_files({}).nftables
    assert (door.chains(TABLE), door.sets(TABLE)) == ({}, ())
    door(SCRIPT)

    assert (door.chains(TABLE), door.sets(TABLE)) == ({"one": 2, "two": 2}, ("m", "s"))
    door(f"flush table {TABLE}")
    assert door.chains(TABLE) == {"one": 1, "two": 1}
    door.remove(TABLE, ["one", "two"], ["m"])
    assert (door.chains(TABLE), door.sets(TABLE)) == ({}, ("s",))


@pytest.mark.parametrize(
    "line",
    [
        "add chain inet missing one",
        f"add rule {TABLE} missing drop",
        f"add rule {TABLE} one jump missing",
        f"flush set {TABLE} missing",
        f"delete chain {TABLE} two",
        f"delete set {TABLE} s",
        f"delete element {TABLE} s {{ 10.9.9.9 }}",
    ],
)
def test_what_the_kernel_refuses(line: str) -> None:
    """It is refused, and nothing of the script is done."""
    door = FakeHost.with_files({}).nftables
    door(SCRIPT)
    before = dict(door.chains(TABLE))
    with pytest.raises(HostError, match="loading a ruleset"):
        door(f"add chain {TABLE} three\n{line}\n")

    assert door.chains(TABLE) == before


def test_elements_and_a_name() -> None:
    """They come and go, whether they are there or not, and a chain gets its name, or nothing of it is done."""
    host = FakeHost.with_files({})
    door = host.nftables
    door(SCRIPT + f"add chain {TABLE} old\n")
    for _ in range(2):
        door.change(TABLE, {"s": [IPv4Address("10.0.0.3")]}, {"s": [IPv4Address("10.0.0.1")]}, ("old", "old"))
    door.change(TABLE, {}, {}, ("old", "new"))
    assert host.machine.nf_tables[TABLE].sets["s"] == ["10.0.0.2", "10.0.0.3"]
    assert "new" in door.chains(TABLE)
    with pytest.raises(HostError):
        door.change(TABLE, {"missing": []}, {}, ("new", "old"))


def test_limits_die_with_the_machine() -> None:
    """Limits and tables are of the kernel: a power cut takes them."""
    host = FakeHost.with_files({})
    host.nftables(SCRIPT)
    with pytest.raises(HostError, match="limiting the bandwidth of eth9: No such device"):
        host.traffic.limit("eth9", Bandwidth(egress_mbps=1))
    host.machine.cut_power(keep_files=True)

    assert (host.traffic.shapers(), host.nftables.sets(TABLE)) == ({}, ())
