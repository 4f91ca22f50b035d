# SPDX-License-Identifier: Apache-2.0
"""Packets of multicast DNS: what a responder says of a service, and what somebody hostile says."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from agent.errors import DecodeError
from agent.model.mdns import AAAA, SRV, TXT, A, Service, labels, question, records, service
from tests.responder import answer, resource

NAME = "baremetal._openstack._tcp.local."
HOST = "conductor.local."
PLACE = resource(NAME, SRV, struct.pack(">HHH", 0, 0, 6385) + labels(HOST))
WORDS = resource(NAME, TXT, b"\x0dprotocol=http\x05path=\x04bare")
ADDRESSES = resource(HOST, A, bytes([192, 0, 2, 1])) + resource(HOST, AAAA, ip_address("2001:db8::1").packed)


def test_a_question() -> None:
    """RFC 1035's form: an id, no flags, a count, then names with types and the class of the internet."""
    asked = question(NAME, (SRV, TXT))

    assert asked[:12] == bytes.fromhex("000000000002000000000000")
    assert asked[12:] == labels(NAME) + b"\0\x21\0\x01" + labels(NAME) + b"\0\x10\0\x01"


def test_a_service() -> None:
    """Its place, its addresses and its words, whichever section they came in."""
    found = service(records(answer(PLACE, WORDS, ADDRESSES)), NAME)

    addresses = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    assert found == Service(HOST, 6385, addresses, {"protocol": "http", "path": ""})


def test_not_enough_is_known() -> None:
    """Of a host in .local its address is needed; of another, the name does."""
    elsewhere = resource(NAME, SRV, struct.pack(">HHH", 0, 0, 443) + labels("ironic.example.org."))

    assert service(records(answer(PLACE, WORDS)), NAME) is None
    assert service(records(answer(WORDS, ADDRESSES)), NAME) is None
    assert service(records(answer(elsewhere)), NAME) == Service("ironic.example.org.", 443, ())


def test_names_are_packed() -> None:
    """A pointer back to a name that stands before; its case does not matter."""
    first = resource(NAME.upper(), SRV, struct.pack(">HHH", 0, 0, 80) + b"\x02AB\xc0\x26")  # there: LOCAL
    packed = answer(first, resource("ab.local.", A, bytes([192, 0, 2, 7])))

    assert packed[0x26:0x2D] == b"\x05LOCAL\0"
    assert service(records(packed), NAME) == Service("AB.LOCAL.", 80, (ip_address("192.0.2.7"),))


@pytest.mark.parametrize(
    "packet",
    [
        b"\0",
        answer(b"\xc0\x0c" + bytes(10)),  # a name that leads to itself
        answer(b"\xc0\xff" + bytes(10)),
        answer(PLACE[:-5]),
        answer(labels("x" * 63 + ("." + "y" * 63) * 4) + bytes(10)),
    ],
)
def test_damage_is_told(packet: bytes) -> None:
    """Too short, in a circle, cut off, a name without end."""
    with pytest.raises(DecodeError):
        records(packet)


def test_questions_of_others_say_nothing() -> None:
    """They come by the same way."""
    assert records(question(NAME, (SRV,))) == ()
