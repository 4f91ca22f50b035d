# SPDX-License-Identifier: Apache-2.0
"""Another agent over real connections: only the partner's, all of them, and no longer than is waited for."""

from __future__ import annotations

import os
import socket
from threading import Event, Thread

import pytest

from agent.errors import LinkError
from agent.host.peer import RealConnection, RealPeer, plain
from agent.host.processors import NICENESS, RealProcessors


def free_port() -> int:
    """Of which nobody makes use at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_both_sides_meet() -> None:
    """As many connections as asked; what is sent on each arrives on one; an end is an error to who still listens."""
    port, arrived = free_port(), list[bytes]()

    def wait() -> None:
        with RealPeer().awaited("127.0.0.1", port, 3, 20, Event()) as connections:
            for one in connections:
                room = memoryview(bytearray(4))
                one.fill(room)
                arrived.append(bytes(room))

    waiting = Thread(target=wait)
    waiting.start()
    with RealPeer().dialled("127.0.0.1", port, 3, 20, Event()) as connections:
        for number, one in enumerate(connections):
            one.send(memoryview(b"abc%d" % number))
        waiting.join(20)
        with pytest.raises(LinkError, match=r"127\.0\.0\.1"):
            connections[0].fill(memoryview(bytearray(1)))

    assert sorted(arrived) == [b"abc0", b"abc1", b"abc2"]


def test_whoever_else_calls_is_hung_up_on() -> None:
    """Another machine's connection is none of the partner's: nobody can spoil a test by calling first."""
    port, found = free_port(), list[LinkError]()

    def wait() -> None:
        try:
            with RealPeer().awaited("127.0.0.2", port, 1, 3, Event()):
                pass
        except LinkError as error:
            found.append(error)

    waiting = Thread(target=wait)
    waiting.start()
    with RealPeer().dialled("127.0.0.1", port, 1, 20, Event()) as (one,), pytest.raises(LinkError):
        one.fill(memoryview(bytearray(1)))
    waiting.join(20)

    assert "0 of 1 connections came" in str(found[0])


@pytest.mark.parametrize("way", ["awaited", "dialled"])
def test_nobody_comes(way: str) -> None:
    """The error says what both machines have to do; an order to stop is obeyed at once."""
    stopped = Event()
    stopped.set()
    for patience_s, stop in ((0.1, Event()), (3600, stopped)):
        with (
            pytest.raises(LinkError) as caught,
            getattr(RealPeer(), way)("127.0.0.1", free_port(), 1, patience_s, stop),
        ):
            pass
        assert "opposite roles" in str(caught.value.hint)


def test_a_port_that_is_taken() -> None:
    """It is told, and nothing waits."""
    with socket.create_server(("", 0)) as taken, pytest.raises(LinkError, match="in use"):
        port = taken.getsockname()[1]
        with RealPeer().awaited("127.0.0.1", port, 1, 5, Event()):
            pass


def test_addresses() -> None:
    """Without zone, and without the form in which a socket of both families has them."""
    assert (plain("::ffff:192.0.2.1"), plain("fe80::1%eth0"), plain("192.0.2.1")) == (
        "192.0.2.1",
        "fe80::1",
        "192.0.2.1",
    )


def test_a_thread_on_one_processor() -> None:
    """It alone is bound, and comes after others; the process is as it was."""
    before, seen = niceness_and_place(), list[object]()
    number = RealProcessors().numbers()[-1]

    def work() -> None:
        RealProcessors().bind(number)
        seen.append((os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [({number}, NICENESS)]
    assert niceness_and_place() == before


def niceness_and_place() -> tuple[int, set[int]]:
    """Of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)


def test_who_drips_is_gone() -> None:
    """A byte now and then is no data: a block has the time that silence would have."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        over = Event()

        def drip() -> None:
            while not over.wait(0.05):
                theirs.send(b"x")

        dripping = Thread(target=drip)
        dripping.start()
        with pytest.raises(LinkError, match=r"of 1048576 bytes came in 0\.4 s"):
            RealConnection(ours, "192.0.2.9", silence_s=0.4).fill(memoryview(bytearray(1 << 20)))
        over.set()
        dripping.join()
