# SPDX-License-Identifier: Apache-2.0
"""Walking a btrfs tree: nodes in, items out, in the order of their keys. Pure.

Each node says its own address and level; keys ascend; no node is visited twice. So what the bytes are decides how long
it takes, and no bytes make it endless.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from agent.errors import DecodeError
from agent.model.filesystem import Read

HEADER_BYTES = 101
POINTER = struct.Struct("<QBQQQ")
ITEM = struct.Struct("<QBQII")
LEVELS = 8
MOST_NODES = 1 << 20
DOING = "walking a btrfs tree"


@dataclass(frozen=True, order=True)
class Key:
    """What items are sorted by."""

    objectid: int
    kind: int
    offset: int

    SIZE: ClassVar[int] = 17

    @classmethod
    def unpack(cls, raw: bytes, at: int) -> Key:
        """The key at an offset."""
        return cls(*struct.unpack_from("<QBQ", raw, at))


@dataclass(frozen=True)
class Item:
    """One item of a leaf."""

    key: Key
    data: bytes


def items(fetch: Read, address: int, level: int) -> Iterator[Item]:
    """Every item. `fetch(address, 0)` gives the node at a logical address. Raises `DecodeError`."""
    seen: set[int] = set()
    last: Key | None = None
    for raw, count in leaves(fetch, address, level, seen):
        for item in items_of(raw, count):
            if last is not None and not last < item.key:
                raise DecodeError(DOING, f"the keys of the leaf at {address} do not ascend")
            last = item.key
            yield item


def lookup(fetch: Read, address: int, level: int, wanted: Key) -> Iterator[Item]:
    """Items of this object and kind."""
    for item in items(fetch, address, level):
        if (item.key.objectid, item.key.kind) == (wanted.objectid, wanted.kind):
            yield item
        elif item.key > wanted:
            return


def leaves(fetch: Read, address: int, level: int, seen: set[int]) -> Iterator[tuple[bytes, int]]:
    """(bytes, count of items) of each leaf, from the left to the right."""
    if level >= LEVELS or address in seen or len(seen) > MOST_NODES:
        raise DecodeError(DOING, f"the node at {address}, level {level}, is there twice, or one too many")
    seen.add(address)
    raw = fetch(address, 0)
    own_address, own_level, count = (
        struct.unpack_from("<Q", raw, 0x30)[0],
        raw[0x64],
        struct.unpack_from("<I", raw, 0x60)[0],
    )
    size = POINTER.size if level else ITEM.size
    if own_address != address or own_level != level or count > (len(raw) - HEADER_BYTES) // size:
        raise DecodeError(DOING, f"the node at {address} is not the one that it should be")
    if not level:
        yield raw, count
        return
    for place in range(count):
        below = POINTER.unpack_from(raw, HEADER_BYTES + place * POINTER.size)[3]
        yield from leaves(fetch, below, level - 1, seen)


def items_of(raw: bytes, count: int) -> Iterator[Item]:
    """The items of a leaf: their heads grow from its beginning, their data from its end."""
    for place in range(count):
        *key, offset, length = ITEM.unpack_from(raw, HEADER_BYTES + place * ITEM.size)
        if HEADER_BYTES + offset + length > len(raw):
            raise DecodeError(DOING, "an item's data lies past its leaf's end")
        yield Item(Key(*key), raw[HEADER_BYTES + offset :][:length])
