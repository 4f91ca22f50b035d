# SPDX-License-Identifier: Apache-2.0
"""Who answers those who ask: packets of DNS and of a time server, made by hand."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread

from agent.model.mdns import labels
from agent.model.sntp import ERA_BEGINS, ERA_S, PACKET, PORT


def resource(name: str, kind: int, data: bytes) -> bytes:
    """A record of the internet's class, with the bit by which responders flush caches."""
    return labels(name) + struct.pack(">HHIH", kind, 0x8001, 120, len(data)) + data


def answer(*resources: bytes) -> bytes:
    """A response; `resources` may hold several each."""
    body = b"".join(resources)
    return struct.pack(">HHHHHH", 0, 0x8400, 0, count(body), 0, 0) + body


def count(body: bytes) -> int:
    """How many records there are, as long as they are whole; at least one."""
    at = found = 0
    while at < len(body):
        while body[at : at + 1] not in (b"\0", b"") and body[at] < 0xC0:
            at += 1 + body[at]
        at += 2 if body[at : at + 1] and body[at] >= 0xC0 else 1
        at += 10 + int.from_bytes(body[at + 8 : at + 10], "big")
        found += 1
    return max(found, 1)


class TimeServer:
    """A time server at one address, for as long as the block; `asked` is how often it was."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, PORT))
        self._socket.settimeout(0.2)
        self._over = Event()
        self._thread = Thread(target=self._serve, name="time server")
        self.asked = 0

    def __enter__(self) -> TimeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                question, sender = self._socket.recvfrom(100)
                self.asked += 1
                self._socket.sendto(time_answer(question, datetime.now(UTC)), sender)


def time_answer(asked: bytes, now: datetime, *, first: int = 0x24, stratum: int = 2) -> bytes:
    """A server's: version 4, in step."""
    since = now - ERA_BEGINS
    seconds = int(since.total_seconds()) % ERA_S
    fraction = (since.microseconds << 32) // 10**6
    return PACKET.pack(first, stratum, 0, 0, 0, 0, 0, bytes(8), asked[40:48], bytes(8), seconds, fraction)
