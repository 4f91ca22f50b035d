# SPDX-License-Identifier: Apache-2.0
"""Loading the network: this machine and its partner send each other verified data, first one way, then the other.

    writer waits, reader calls      the writer sends for its time, then the reader on the same connections

Every block is a header (what it is, its number) and noise that its number has shifted. TCP's own checksum is weak, and
NICs compute it: what they damage is found here.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from agent.apply.burn_in.course import Course
from agent.errors import BurnInFailed
from agent.host.doors import Host
from agent.host.load_doors import Connection
from agent.host.memory import aligned, copy, is_same
from agent.model.burn_in import NetworkLoad, Verdict

BLOCK_BYTES = 1024 * 1024
HEADER = struct.Struct("<8sQQ")
MAGIC = b"bms-burn"
DATA, LAST = 1, 2
DOING = "loading the network"
SHIFT_BYTES = 64


@dataclass
class Tally:
    """Of one connection."""

    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass
class Meeting:
    """Of both machines; times by the clock. The partner is met before anything is sent."""

    met_s: float | None = None
    sending_s: float | None = None
    over: Event = field(default_factory=Event)


def burn_network(host: Host, load: NetworkLoad, course: Course) -> Verdict:
    """Raises `LinkError` where the partner does not come or leaves, `BurnInFailed` for what arrives damaged."""
    meeting, tallies = Meeting(), [Tally() for _ in range(load.streams)]
    meet = host.peer.awaited if load.role == "writer" else host.peer.dialled

    def converse(stop: Event) -> None:
        with meet(load.partner, load.port, load.streams, load.patience_s, stop) as connections:
            meeting.met_s = host.clock.monotonic_s()
            pairs = enumerate(zip(connections, tallies, strict=True))
            workers = {
                f"network-{place}": worker(host, load, one, tally, meeting.over) for place, (one, tally) in pairs
            }
            course.run_until(workers, stop.is_set)

    def is_over() -> bool:
        course.tell(told(host.clock.monotonic_s(), load, meeting, tallies))
        return False

    course.run_until({"network": converse}, is_over)
    return verdict(load, tallies, host.clock.monotonic_s() - (meeting.met_s or 0.0))


def told(now_s: float, load: NetworkLoad, meeting: Meeting, tallies: list[Tally]) -> str:
    """How far it is; its own sending ends when its time is over."""
    if meeting.met_s is None:
        return f"network, waiting for {load.partner}"
    if meeting.sending_s is None and any(one.sent_bytes for one in tallies):
        meeting.sending_s = now_s
    if meeting.sending_s is not None and now_s - meeting.sending_s >= load.seconds:
        meeting.over.set()
    return f"network, {now_s - meeting.met_s:.0f} of {2 * load.seconds} s"


def worker(host: Host, load: NetworkLoad, connection: Connection, tally: Tally, over: Event) -> Callable[[Event], None]:
    """One connection: both ways, one after the other."""

    def work(stop: Event) -> None:
        noise = noise_of()
        if load.role == "writer":
            send(connection, noise, tally, over, stop)
        receive(host, load, connection, noise, tally, stop)
        if load.role == "reader":
            send(connection, noise, tally, over, stop)

    return work


def send(connection: Connection, noise: memoryview, tally: Tally, over: Event, stop: Event) -> None:
    """Block after block until the time is over, then the last one."""
    block, number = aligned(BLOCK_BYTES), 0
    while not stop.is_set():
        kind = LAST if over.is_set() else DATA
        HEADER.pack_into(block, 0, MAGIC, kind, number)
        copy(block[HEADER.size :], of_block(noise, number))
        connection.send(block)
        tally.sent_bytes += len(block)
        if kind == LAST:
            return
        number += 1


def receive(
    host: Host, load: NetworkLoad, connection: Connection, noise: memoryview, tally: Tally, stop: Event
) -> None:
    """Block after block to the last one. Raises `BurnInFailed` for one that is not as it was sent, and where the
    partner does not come to an end: it may have been told another time, and be late by as much as for the meeting.
    """
    block, expected = aligned(BLOCK_BYTES), 0
    limit_s = load.seconds + load.patience_s
    end_s = host.clock.monotonic_s() + limit_s
    while not stop.is_set():
        if host.clock.monotonic_s() > end_s:
            told = f"{load.partner} still sends after {limit_s} s, and was to stop after {load.seconds} s"
            raise BurnInFailed(DOING, told, hint="Tell both machines the same time (agent_burnin_fio_network_runtime).")
        connection.fill(block)
        magic, kind, number = HEADER.unpack_from(block)
        if magic != MAGIC or kind not in (DATA, LAST) or number != expected:
            raise BurnInFailed(DOING, f"block {expected} of a connection begins with {bytes(block[:24]).hex()}")
        if not is_same(block[HEADER.size :], of_block(noise, number)):
            raise BurnInFailed(DOING, f"block {expected} of a connection arrived damaged, past all checksums")
        tally.received_bytes += len(block)
        if kind == LAST:
            return
        expected += 1


def noise_of() -> memoryview:
    """Twice a block."""
    pattern = aligned(2 * BLOCK_BYTES)
    pattern[:BLOCK_BYTES] = pattern[BLOCK_BYTES:] = hashlib.shake_128(b"network").digest(BLOCK_BYTES)
    return pattern


def of_block(noise: memoryview, number: int) -> memoryview:
    """What follows the header of that block."""
    shift = number * SHIFT_BYTES % BLOCK_BYTES
    return noise[shift : shift + BLOCK_BYTES - HEADER.size]


def verdict(load: NetworkLoad, tallies: list[Tally], ran_s: float) -> Verdict:
    """Nothing is passed that did not go both ways."""
    sent, received = sum(one.sent_bytes for one in tallies), sum(one.received_bytes for one in tallies)
    if not sent or not received:
        raise BurnInFailed(DOING, f"{sent} bytes were sent, {received} were received")
    each_s = max(ran_s / 2, 0.001)
    return Verdict(
        part="network",
        state="passed",
        figures={
            "partner": load.partner,
            "seconds": round(ran_s),
            "Mbit/s sent": round(sent * 8 / each_s / 10**6),
            "Mbit/s received": round(received * 8 / each_s / 10**6),
        },
    )
