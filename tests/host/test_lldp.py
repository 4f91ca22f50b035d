# SPDX-License-Identifier: Apache-2.0
"""The door to LLDP on real links: veth pairs in a network of the test's own, with switches that speak at their ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread, Timer

import pytest

from agent.errors import HostError
from agent.host.lldp import ETHERTYPE, GROUPS, RealLldp
from agent.model.lldp import tlvs
from tests.host.namespace import in_new_network
from tests.link.equipped import ANNOUNCED
from tests.loops import command

pytestmark = pytest.mark.root
SWITCH_MAC = bytes.fromhex("a0b1c2d3e401")


def pairs(count: int) -> None:
    """nic0 … with port0 … at their other ends, all up."""
    for number in range(count):
        command("ip", "link", "add", f"nic{number}", "type", "veth", "peer", "name", f"port{number}")
        for name in (f"nic{number}", f"port{number}"):
            command("ip", "link", "set", name, "up")


@contextmanager
def switch(port: str, unit: bytes, *, group: bytes = GROUPS[0], ethertype: int = ETHERTYPE) -> Iterator[None]:
    """Says this every tenth of a second at this end of a cable; the thread has the network of who starts it."""
    over = Event()
    frame = (group + SWITCH_MAC + ethertype.to_bytes(2) + unit).ljust(60, b"\0")

    def speak() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind((port, 0))
            while not over.wait(0.1):
                raw.send(frame)

    thread = Thread(target=speak, name="switch")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def heard(names: list[str], timeout_s: float) -> tuple[Mapping[str, bytes], float]:
    """What the door hears, and how long that took."""
    began_s = time.monotonic()
    found = RealLldp()(names, timeout_s)
    return found, time.monotonic() - began_s


def test_switches_are_heard_side_by_side() -> None:
    """Each NIC has its own switch's words, sent to any of LLDP's groups; it ends once all have spoken."""

    def work() -> tuple[Mapping[str, bytes], float]:
        pairs(2)
        with switch("port0", ANNOUNCED), switch("port1", ANNOUNCED.replace(b"-7", b"-8"), group=GROUPS[2]):
            return heard(["nic0", "nic1"], 40.0)

    found, took_s = in_new_network(work)

    assert {name: tlvs(unit)[3].value for name, unit in found.items()} == {"nic0": b"tor-7", "nic1": b"tor-8"}
    assert took_s < 30


def test_who_is_silent_is_left_out() -> None:
    """After the time, with what was heard; other protocols, and what we say ourselves, are not LLDP of a switch."""

    def work() -> tuple[Mapping[str, bytes], float]:
        pairs(3)
        with switch("port0", ANNOUNCED), switch("port1", ANNOUNCED, ethertype=0x88B5), switch("nic2", ANNOUNCED):
            return heard(["nic0", "nic1", "nic2"], 2.0)

    found, took_s = in_new_network(work)

    assert list(found) == ["nic0"]
    assert took_s >= 2


def test_a_link_that_goes_down() -> None:
    """A cable that is pulled has nothing to say, and keeps nobody waiting for ever."""

    def work() -> tuple[Mapping[str, bytes], float]:
        pairs(2)
        timer = Timer(0.5, command, ("ip", "link", "set", "nic1", "down"))
        timer.start()
        with switch("port0", ANNOUNCED):
            found = heard(["nic0", "nic1"], 5.0)
        timer.join()
        return found

    found, _ = in_new_network(work)

    assert list(found) == ["nic0"]


def test_a_link_that_is_not_there() -> None:
    """It is named."""
    with pytest.raises(HostError, match=r"listening to LLDP on nic9: No such device"):
        in_new_network(lambda: heard(["nic9"], 1.0))
