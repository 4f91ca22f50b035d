# SPDX-License-Identifier: Apache-2.0
"""Who answers: packets of DNS, made by hand, for the tests that ask."""

from __future__ import annotations

import struct

from agent.model.mdns import labels


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
