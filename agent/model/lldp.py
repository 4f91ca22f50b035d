# SPDX-License-Identifier: Apache-2.0
"""What a switch says of itself on a cable: LLDP (IEEE 802.1AB-2016, section 8). Bytes → TLVs. Pure.

What the values mean is left to whoever asked: Ironic wants them raw.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.errors import DecodeError

END = 0
HEADER_BYTES = 2
LENGTH_BITS = 9


class Tlv(NamedTuple):
    """One statement: 1 is the chassis' id, 2 the port's, 5 the system's name, 127 an organisation's own."""

    kind: int
    value: bytes


def tlvs(unit: bytes) -> tuple[Tlv, ...]:
    """An LLDP data unit, behind the Ethernet header; the padding behind its end is dropped. Raises `DecodeError`."""
    found: list[Tlv] = []
    at = 0
    while at + HEADER_BYTES <= len(unit):
        header = int.from_bytes(unit[at : at + HEADER_BYTES])
        kind, length = header >> LENGTH_BITS, header & ((1 << LENGTH_BITS) - 1)
        value = unit[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if len(value) < length:
            raise DecodeError("reading what a switch says by LLDP", f"it ends within the TLV at byte {at}")
        found.append(Tlv(kind, value))
        if kind == END:
            break
        at += HEADER_BYTES + length
    return tuple(found)
