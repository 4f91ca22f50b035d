# SPDX-License-Identifier: Apache-2.0
"""Asking a time server once: SNTP version 4 (RFC 4330, RFC 5905 section 7.3). Pure."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from agent.errors import DecodeError

PORT = 123
PACKET = struct.Struct(">BBbbIII8s8s8sII")
CLIENT = 4 << 3 | 3
"""Version 4, from a client."""
SERVER, UNSYNCHRONISED, LOWEST_STRATUM = 4, 3, 15
ERA_BEGINS = datetime(1900, 1, 1, tzinfo=UTC)
ERA_S = 1 << 32
HALF = 1 << 31
"""Seconds below this are of the next era, which begins in 2036 (RFC 4330, section 3)."""


def question(cookie: bytes) -> bytes:
    """`cookie`: eight bytes that come back, so that nobody answers who has not heard the question."""
    return PACKET.pack(CLIENT, 0, 0, 0, 0, 0, 0, bytes(8), bytes(8), bytes(8), *struct.unpack(">II", cookie))


def answered(packet: bytes, cookie: bytes) -> datetime:
    """The server's time when it sent the answer. Raises `DecodeError` for what is no answer, or from a server that does
    not know the time itself.
    """
    doing = "reading a time server's answer"
    if len(packet) < PACKET.size:
        raise DecodeError(doing, f"it has {len(packet)} bytes")
    first, stratum, *_, origin, _, seconds, fraction = PACKET.unpack_from(packet)
    if first & 7 != SERVER or origin != cookie:
        raise DecodeError(doing, "it answers another question")
    if first >> 6 == UNSYNCHRONISED or not 1 <= stratum <= LOWEST_STRATUM or not seconds:
        raise DecodeError(doing, f"the server does not know the time (stratum {stratum})")
    era_s = ERA_S if seconds < HALF else 0
    return ERA_BEGINS + timedelta(seconds=era_s + seconds, microseconds=fraction * 10**6 >> 32)
