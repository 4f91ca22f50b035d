# SPDX-License-Identifier: Apache-2.0
"""SMBIOS tables without identities: structures that nobody here reads are left out, since makers keep service tags in
some of them; of the others serials, asset tags and the UUID are learnt, to be replaced like any other. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from agent.errors import DecodeError
from agent.host.smbios import END_OF_TABLE, HEADER_BYTES, Structure, structures
from agent.inventory.scrub.pseudonym import Pseudonyms

READ_KINDS = frozenset({0, 1, 2, 3, 4, 7, 9, 16, 17, 19, 38, END_OF_TABLE})
SERIALS = {1: (0x07,), 2: (0x07, 0x08), 3: (0x07, 0x08), 4: (0x20, 0x21), 17: (0x18, 0x19)}
"""By type, the places of serials and asset tags (DSP0134, 7.2, 7.3, 7.4, 7.5, 7.18)."""
PRODUCT, UUID_AT = 1, slice(0x08, 0x18)
MASK = ord("x")
PRINTABLE = range(0x20, 0x7F)


def learn_table(names: Pseudonyms, table: bytes) -> None:
    """The identities in it."""
    for each in whole(table)[0]:
        for place in SERIALS.get(each.kind, ()):
            names.learn(each.text(place) or "")


def scrubbed_table(names: Pseudonyms, table: bytes, spoken: tuple[int, int]) -> bytes:
    """The table. What is left of one that is damaged is damaged in the same way, and says nothing."""
    found, rest = whole(table)
    kept = b"".join(b"".join(told(names, each, spoken)) for each in found if each.kind in READ_KINDS)
    return kept + rest[:HEADER_BYTES] + bytes(MASK if byte in PRINTABLE else byte for byte in rest[HEADER_BYTES:])


def whole(table: bytes) -> tuple[list[Structure], bytes]:
    """Structures that are sound, and what comes after them."""
    found: list[Structure] = []
    at = 0
    try:
        for each in structures(table):
            found.append(each)
            end = table.find(b"\0\0", at + len(each.data))
            at = end + 2
    except DecodeError:
        return found, table[at:]
    return found, b""


def told(names: Pseudonyms, each: Structure, spoken: tuple[int, int]) -> Iterator[bytes]:
    """One structure as it stands in a table."""
    data = bytearray(each.data)
    if each.kind == PRODUCT and any(data[UUID_AT]) and len(data) >= UUID_AT.stop:
        raw = bytes(data[UUID_AT])
        if spoken >= (2, 6):
            data[UUID_AT] = UUID(names.uuid(str(UUID(bytes_le=raw)))).bytes_le
        else:
            data[UUID_AT] = UUID(names.uuid(str(UUID(bytes=raw)))).bytes
    yield bytes(data)
    yield b"".join(names.text(text).encode() + b"\0" for text in each.strings) or b"\0"
    yield b"\0"
