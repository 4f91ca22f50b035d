# SPDX-License-Identifier: Apache-2.0
"""Questions in one datagram over real sockets: to one host, and around, in a network namespace of the test's own."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from queue import Queue
from threading import Event, Thread, get_native_id

import pytest

from agent.errors import HostError
from agent.host.clock import RealClock
from agent.host.datagrams import RealDatagrams
from agent.host.fake import FakeHost
from agent.host.probe import RealProbe
from agent.link.ironic.clock import asked
from agent.model.mdns import GROUPS, PORT
from agent.model.network import IPAddress
from tests.host.namespace import in_new_network
from tests.loops import command
from tests.responder import TimeServer

LOCAL = "127.0.0.1"
PATIENCE_S = 20.0


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_what_can_be_no_name(name: str) -> None:
    """Nobody of that name answers; whoever was told to ask there goes on without."""
    door, probe = RealDatagrams(), RealProbe()

    assert door.ask(name, 123, b"?", PATIENCE_S) is None
    assert (probe.addresses(name), probe.source(name, 123)) == ((), None)
    assert not probe.connects(name, 123, PATIENCE_S)


@contextmanager
def echoing(family: socket.AddressFamily, group: str | None = None) -> Iterator[int]:
    """Who gives back what comes, twice, as members of a group do; its port."""
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.1)
        udp.bind(("", 0 if group is None else PORT))
        if group is not None:
            number = socket.if_nametoindex("left")
            packed = socket.inet_pton(family, group)
            if family is socket.AF_INET:
                udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + struct.pack("=4si", b"", number))
            else:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("=I", number))
        over = Event()

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    question, sender = udp.recvfrom(9000)
                    udp.sendto(question, sender)
                    udp.sendto(question, sender)

        thread = Thread(target=serve, name="echo")
        thread.start()
        try:
            yield int(udp.getsockname()[1])
        finally:
            over.set()
            thread.join()


def test_one_host_answers() -> None:
    """The first answer is the answer; where nobody listens, there is none."""
    door = RealDatagrams()
    with echoing(socket.AF_INET) as port:
        assert door.ask(LOCAL, port, b"who", 5.0) == b"who"
    assert door.ask(LOCAL, port, b"who", 5.0) is None


def member(family: socket.AddressFamily, group: str, told: Queue[int], asked: Event) -> None:
    """Another host on the link: it has a network of its own, into which the link's other end is put."""

    def serve() -> None:
        told.put(get_native_id())
        assert asked.wait(PATIENCE_S)
        ready("left", "192.0.2.1/24", "fe80::1/64")
        with echoing(family, group):
            told.put(0)
            asked.clear()
            assert asked.wait(PATIENCE_S)

    in_new_network(serve)


def ready(name: str, *addresses: str) -> None:
    """A link with its addresses, up."""
    for address in addresses:
        command("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    command("ip", "link", "set", name, "up")


@pytest.mark.root
@pytest.mark.parametrize(("family", "group"), list(zip((socket.AF_INET, socket.AF_INET6), GROUPS, strict=True)))
def test_a_group_on_a_link_answers(family: socket.AddressFamily, group: IPAddress) -> None:
    """Each answer comes, from the link that was asked; others, and links that are not there, are passed over."""
    told: Queue[int] = Queue()
    asked = Event()
    thread = Thread(target=member, args=(family, str(group), told, asked), name="member")
    thread.start()

    def ask() -> list[bytes]:
        command("ip", "link", "add", "right", "type", "veth", "peer", "name", "left")
        command("ip", "link", "set", "left", "netns", str(told.get(timeout=PATIENCE_S)))
        ready("right", "192.0.2.2/24", "fe80::2/64")
        asked.set()
        told.get(timeout=PATIENCE_S)
        heard = RealDatagrams().ask_around(["gone", "lo", "right"], GROUPS, PORT, b"who", 5.0)
        return list(islice(heard, 2))

    try:
        assert in_new_network(ask) == [b"who", b"who"]
    finally:
        asked.set()
        thread.join(PATIENCE_S)


@pytest.mark.root
def test_a_time_server() -> None:
    """Over real sockets, its time is this computer's."""
    with TimeServer(LOCAL) as server:
        host = replace(FakeHost.with_files({}), datagrams=RealDatagrams(), clock=RealClock())
        now = asked(host, LOCAL, Event())

    assert server.asked == 1
    assert abs((RealClock().now() - now).total_seconds()) < 5


def test_a_clock_that_may_not_be_set() -> None:
    """What the kernel says is said on: a time before 1970 is none."""
    with pytest.raises(HostError, match="setting the clock to 1900"):
        RealClock().set(datetime(1900, 1, 1, tzinfo=UTC))
