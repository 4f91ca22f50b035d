# SPDX-License-Identifier: Apache-2.0
"""The door to nf_tables: the library in this process, and messages of our own, on the real kernel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.nftables import RealNftables, complaint
from agent.host.rtnetlink.message import attribute, attributes, text
from tests.host.namespace import in_new_network

TABLE = "inet t"
SCRIPT = f"""
add table {TABLE}
add set {TABLE} s {{ type ipv4_addr; }}
add chain {TABLE} one
add chain {TABLE} two
add rule {TABLE} one ip saddr {{ 10.0.0.1, 10.0.0.2 }} jump two
add rule {TABLE} two ip saddr @s drop
"""


def test_the_first_complaint_is_told() -> None:
    """The reason and the line, without the library's marks; silence has a text, too."""
    said = "/proc/self/fd/7:2:5-9: Error: syntax error\nadd rule x\n    ^^^^^\n/proc/self/fd/7:3:1-1: Error: other\n"

    assert complaint(said, "/proc/self/fd/7") == "2:5-9: Error: syntax error: add rule x"
    assert complaint("", "/x") == "no reason given"


def test_attributes_come_back() -> None:
    """What is written into a message is read from it, whatever its length."""
    for value in (b"", b"a", b"abcd", b"abcde"):
        data = attribute(7, value) + text(8, "x")
        assert attributes(data, 0) == {7: value, 8: b"x\0"}


@pytest.mark.root
def test_it_is_told_what_there_is() -> None:
    """Chains with how often they are used, and sets that have names; of this table alone; of none, nothing."""

    def work() -> None:
        door = RealNftables()
        assert (door.chains(TABLE), door.sets(TABLE)) == ({}, ())
        door(SCRIPT + "add table inet u\nadd chain inet u three\nadd set inet u v { type ipv4_addr; }\n")
        assert door.chains(TABLE) == {"one": 1, "two": 2}
        assert door.sets(TABLE) == ("s",)

    in_new_network(work)


@pytest.mark.root
def test_elements_are_put_and_taken() -> None:
    """Thousands in one transaction, with a chain's new name; what fails changes nothing."""
    addresses = [IPv4Address("10.0.0.0") + number for number in range(5000)]

    def work() -> None:
        door = RealNftables()
        door(SCRIPT + f"add chain {TABLE} old\n")
        for _ in range(2):
            door.change(TABLE, {"s": addresses}, {"s": [IPv4Address("10.9.9.9")]}, ("old", "old"))
        door.change(TABLE, {}, {"s": addresses[:4999]}, ("old", "new"))
        assert set(door.chains(TABLE)) == {"one", "two", "new"}
        with pytest.raises(HostError, match="changing the sets of table inet t: No such file"):
            door.change(TABLE, {"s": addresses}, {"missing": addresses}, ("new", "old"))
        door(f"delete element {TABLE} s {{ 10.0.19.135 }}")  # the one that was left: the script fails without it
        with pytest.raises(HostError, match="delete element"):
            door(f"delete element {TABLE} s {{ 10.0.19.134 }}")

    in_new_network(work)


@pytest.mark.root
def test_thousands_go_at_once() -> None:
    """Sets and chains of a large ruleset, and the map that leads to them, go in one transaction; or none of them."""
    names = [f"s{number}" for number in range(3000)]

    def work() -> None:
        door = RealNftables()
        lines = [f"add table {TABLE}", f"add map {TABLE} m {{ type ifname : verdict; }}"]
        lines += [
            f"add {noun} {TABLE} {name}{kind}"
            for name in names
            for noun, kind in (("set", " { type mark; }"), ("chain", ""))
        ]
        lines += [f"add element {TABLE} m {{ {name} : goto {name} }}" for name in names]
        door("\n".join(lines) + "\n")
        with pytest.raises(HostError, match="clearing table inet t: Device or resource busy"):
            door.remove(TABLE, names, names)
        assert len(door.sets(TABLE)) == 3001
        door.remove(TABLE, names, ["m", *names])
        assert (door.chains(TABLE), door.sets(TABLE)) == ({}, ())
        door.remove(TABLE, [], [])

    in_new_network(work)


@pytest.mark.root
def test_a_script_is_one_transaction() -> None:
    """A script whose last line is refused leaves nothing of its first."""

    def work() -> None:
        door = RealNftables()
        with pytest.raises(HostError, match=r"3:.*No such file.*add rule inet t nowhere drop"):
            door(f"add table {TABLE}\nadd chain {TABLE} one\nadd rule {TABLE} nowhere drop\n")
        assert door.chains(TABLE) == {}

    in_new_network(work)


@pytest.mark.root
def test_threads_side_by_side() -> None:
    """Scripts of several threads wait for each other; nothing is left open."""

    def work() -> None:
        door = RealNftables()
        for number in range(20):
            door(f"add table {TABLE}\nadd chain {TABLE} c{number}\n")
            door.chains(TABLE)
        assert len(door.chains(TABLE)) == 20

    before = len(list(Path("/proc/self/fd").iterdir()))
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(in_new_network, work) for _ in range(8)]:
            done.result()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
