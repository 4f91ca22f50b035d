# SPDX-License-Identifier: Apache-2.0
"""Multicast DNS: a question that is asked once, and what the answers say of a service. Pure.

Sources: RFC 6762 section 5.1 (one-shot queries), RFC 6763 (services: SRV and TXT), RFC 1035 section 4 (the packets).
Anybody on the network may answer, with whatever bytes: the outcome is records, or `DecodeError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from agent.errors import DecodeError
from agent.model.network import IPAddress

PORT = 5353
GROUPS: tuple[IPAddress, ...] = (IPv4Address("224.0.0.251"), IPv6Address("ff02::fb"))
A, TXT, AAAA, SRV = 1, 16, 28, 33
INTERNET, ANSWER = 1, 0x8000
HEADER = struct.Struct(">HHHHHH")
POINTER = 0xC0
LARGEST_NAME = 255
DOING = "reading an answer of multicast DNS"


@dataclass(frozen=True)
class Record:
    """A resource record of a kind that concerns services."""

    name: str
    kind: int
    host: str = ""
    port: int = 0
    address: IPAddress | None = None
    text: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Service:
    """Where a service is; `text` is what it says of itself."""

    host: str
    port: int
    addresses: tuple[IPAddress, ...]
    text: dict[str, str] = field(default_factory=dict)


def question(name: str, kinds: Sequence[int]) -> bytes:
    """A query for records of these kinds of one name."""
    asked = b"".join(labels(name) + struct.pack(">HH", kind, INTERNET) for kind in kinds)
    return HEADER.pack(0, 0, len(kinds), 0, 0, 0) + asked


def labels(name: str) -> bytes:
    """A name as it travels."""
    parts = [part.encode() for part in name.rstrip(".").split(".")]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def service(found: Sequence[Record], name: str) -> Service | None:
    """What is known of it: None while its place, or that place's address, is not."""
    place = next((one for one in found if one.kind == SRV and one.name == name.lower()), None)
    if place is None:
        return None
    told = next((one.text for one in found if one.kind == TXT and one.name == name.lower()), ())
    addresses = dict.fromkeys(one.address for one in found if one.name == place.host.lower() and one.address)
    is_local = place.host.lower().endswith(".local.")
    return None if is_local and not addresses else Service(place.host, place.port, tuple(addresses), dict(told))


def records(packet: bytes) -> tuple[Record, ...]:
    """Those that concern services, of all sections; none of a question. Raises `DecodeError`."""
    try:
        return tuple(read(packet))
    except (struct.error, IndexError, ValueError) as error:
        raise DecodeError(DOING, str(error)) from None


def read(packet: bytes) -> Iterator[Record]:
    """As above, with the errors of whatever is damaged."""
    _, flags, questions, *counts = HEADER.unpack_from(packet)
    if not flags & ANSWER:
        return
    at = HEADER.size
    for _ in range(questions):
        at = name_at(packet, at)[1] + 4
    for _ in range(sum(counts)):
        name, at = name_at(packet, at)
        kind, group, _, length = struct.unpack_from(">HHIH", packet, at)
        at += 10
        if at + length > len(packet):
            raise ValueError(f"a record ends {at + length - len(packet)} bytes behind the packet")
        made = record(packet, name.lower(), kind, at, length) if group & 0x7FFF == INTERNET else None
        if made is not None:
            yield made
        at += length


def record(packet: bytes, name: str, kind: int, at: int, length: int) -> Record | None:
    """One record, by what is in it."""
    data = packet[at : at + length]
    match kind, length:
        case (1, 4) | (28, 16):
            return Record(name, kind, address=ip_address(data))
        case 33, _:
            _, _, port = struct.unpack_from(">HHH", data)
            return Record(name, kind, host=name_at(packet, at + 6)[0], port=port)
        case 16, _:
            return Record(name, kind, text=tuple(pairs(data)))
    return None


def pairs(data: bytes) -> Iterator[tuple[str, str]]:
    """`key=value` texts, each behind its length (RFC 6763, section 6)."""
    at = 0
    while at < len(data):
        key, sign, value = data[at + 1 : at + 1 + data[at]].decode("utf-8", errors="replace").partition("=")
        if sign and key:
            yield key.lower(), value
        at += 1 + data[at]


def name_at(packet: bytes, at: int) -> tuple[str, int]:
    """(a name, where it ends). A pointer leads back only, so that there is an end (RFC 1035, section 4.1.4)."""
    parts: list[str] = []
    end, size = 0, 0
    while length := packet[at]:
        if length & POINTER == POINTER:
            target = (length & 0x3F) << 8 | packet[at + 1]
            end = end or at + 2
            if target >= at:
                raise ValueError("a name leads forward")
            at = target
            continue
        size += 1 + length
        if length > 63 or size > LARGEST_NAME or at + 1 + length > len(packet):
            raise ValueError("a name is too long")
        parts.append(packet[at + 1 : at + 1 + length].decode("utf-8", errors="replace"))
        at += 1 + length
    return ".".join(parts) + ".", end or at + 1
