# SPDX-License-Identifier: Apache-2.0
"""Netlink messages and their attributes, as bytes (linux/netlink.h)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from agent.model.network import IPAddress

HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = Struct("=HH")  # struct nlattr: length, type
U8, U16, U32, S32 = Struct("=B"), Struct("=H"), Struct("=I"), Struct("=i")
BE16 = Struct(">H")

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCLUSIVE, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
DUMP_INTERRUPTED = 0x10
ERROR, DONE = 2, 3

NLA_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

FAMILY = {4: 2, 6: 10}  # AF_INET, AF_INET6
AF_BRIDGE = 7


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A request without its sequence number, which the channel puts in."""
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, with its padding."""
    length = len(payload) + 4
    return ATTRIBUTE.pack(length, kind) + payload + PADDING[length & 3]


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, U8.pack(value))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes."""
    return attribute(kind, U16.pack(value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes."""
    return ATTRIBUTE.pack(8, kind) + U32.pack(value)


def text(kind: int, value: str) -> bytes:
    """An attribute with a C string."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, start: int, end: int | None = None) -> dict[int, bytes]:
    """Type → payload, of all attributes from `start` on."""
    found: dict[int, bytes] = {}
    end = len(data) if end is None else end
    while start + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message of a datagram."""
    start, end = 0, len(data)
    while start + 16 <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, start)
        if length < 16:
            break
        yield kind, flags, sequence, data[start + 16 : start + length]
        start += (length + 3) & ~3


def string(payload: bytes) -> str:
    """A C string."""
    return payload.rstrip(b"\0").decode(errors="replace")


def number(payload: bytes | None) -> int:
    """An unsigned number of any width in the machine's order; 0 where there is none."""
    return int.from_bytes(payload, "little") if payload else 0


def mac(payload: bytes | None) -> str:
    """A MAC in lower case; of another length (InfiniBand, tunnels) it is as long as it is."""
    return payload.hex(":") if payload else ""


def address(payload: bytes) -> IPAddress:
    """An address of either version."""
    return IPv4Address(payload) if len(payload) == 4 else IPv6Address(payload)
