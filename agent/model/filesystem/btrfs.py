# SPDX-License-Identifier: Apache-2.0
"""btrfs on one device: bytes in use, from the extent tree, led through the chunk tree to where they lie. Pure.

Sources: include/uapi/linux/btrfs_tree.h, "Btrfs on-disk format" (btrfs.readthedocs.io). All little endian. The extents
must add up to what the superblock says is in use, or the map is not believed.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from uuid import UUID

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read, joined, text
from agent.model.filesystem.btrfs_subvolumes import Subvolumes, subvolumes_of
from agent.model.filesystem.btrfs_tree import Item, Key, items, lookup

SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES = 0x10000, 4096
MIRRORS = (0x10000, 0x4000000, 0x4000000000)
RESERVED_BYTES = 1024 * 1024  # nothing is allocated here: boot loaders use it (BTRFS_DEVICE_RANGE_RESERVED)
MAGIC = b"_BHRfS_M"
SYSTEM_ARRAY_OFFSET, SYSTEM_ARRAY_BYTES = 0x32B, 2048
SEEDING, METADUMP = 1 << 32, 3 << 33
# all but zoned, extent tree v2 and stripe tree: mixed backrefs, default subvolume, mixed groups, lzo, zstd, big
# metadata, extended iref, raid56, skinny metadata, no holes, metadata uuid, raid1c34, simple quota
INCOMPAT_KNOWN = 0xFFF | 0x10000
EXTENT_TREE = 2
ROOT_ITEM, EXTENT_ITEM, METADATA_ITEM, CHUNK_ITEM = 132, 168, 169, 228
CHUNK = struct.Struct("<QQQQIIIHH")
STRIPE = struct.Struct("<QQ16s")
STRIPED = 0x8 | 0x40 | 0x80 | 0x100  # raid0, raid10, raid5, raid6
MOST_EXTENTS = 1 << 22
"""Their places are held in memory, so there must be an end."""
MOST_CHUNKS = 1 << 16
DOING = "reading the btrfs filesystem"


@dataclass(frozen=True, order=True)
class Chunk:
    """A range of logical addresses, and where each of its copies begins."""

    logical: int
    length: int
    physical: tuple[int, ...]


class Btrfs:
    """One filesystem."""

    kind = "btrfs"

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none, is larger than its device, or has features that are not known."""
        self._read = read
        if size_bytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES:
            raise DecodeError(DOING, f"{size_bytes} bytes hold none")
        raw = read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES)
        if raw[0x40:0x48] != MAGIC:
            raise DecodeError(DOING, "no superblock")
        self.uuid = str(UUID(bytes=raw[0x20:0x30]))
        (flags,) = struct.unpack_from("<Q", raw, 0x38)
        self._root, self._chunk_root, self._log_root = struct.unpack_from("<QQQ", raw, 0x50)
        self._total_bytes, self._used_bytes = struct.unpack_from("<QQ", raw, 0x70)
        (self.devices,) = struct.unpack_from("<Q", raw, 0x88)
        self._sector_bytes, self._node_bytes = struct.unpack_from("<II", raw, 0x90)
        (system_bytes,) = struct.unpack_from("<I", raw, 0xA0)
        (incompat,) = struct.unpack_from("<Q", raw, 0xBC)
        self._root_level, self._chunk_level = raw[0xC6], raw[0xC7]
        self._device, self.size_bytes = struct.unpack_from("<QQ", raw, 0xC9)
        self.label = text(raw[0x12B:0x22B])
        self._system = raw[SYSTEM_ARRAY_OFFSET:][: min(system_bytes, SYSTEM_ARRAY_BYTES)]
        if incompat & ~INCOMPAT_KNOWN or flags & (SEEDING | METADUMP):
            raise DecodeError(DOING, f"features that are not known: incompat {incompat:#x}, flags {flags:#x}")
        nodes = self._node_bytes
        if nodes & (nodes - 1) or not 4096 <= nodes <= 65536 or not 0 < self.size_bytes <= size_bytes:
            raise DecodeError(DOING, f"{self.size_bytes} bytes in nodes of {nodes}, on {size_bytes} bytes")

    @property
    def unclean(self) -> str | None:
        """A tree of its log that was not replayed: what fsync promised is in there alone."""
        return "its log holds changes that are not in place yet" if self._log_root else None

    @property
    def elsewhere(self) -> str | None:
        """Other devices of the same filesystem."""
        return f"{self.devices - 1} of its {self.devices} devices" if self.devices != 1 else None

    def places(self, logical: int, length: int) -> Iterator[Extent]:
        """Where a range of logical addresses lies on the device, in all its copies. Raises `DecodeError`."""
        for chunk in self._chunks():
            first = max(logical, chunk.logical)
            last = min(logical + length, chunk.logical + chunk.length)
            for start in chunk.physical if first < last else ():
                yield start + first - chunk.logical, last - first

    def subvolumes(self) -> Subvolumes:
        """Raises `DecodeError`."""
        return subvolumes_of(items(self._fetch(self._chunks()), self._root, self._root_level))

    def used(self) -> Iterator[Extent]:
        """Bytes in use: extents in all their copies, superblocks, and the first MiB."""
        if self.elsewhere:
            raise DecodeError(DOING, "it lies on several devices")
        fixed = [(0, RESERVED_BYTES), *((mirror, SUPERBLOCK_BYTES) for mirror in MIRRORS[1:])]
        inside = ((start, min(length, self.size_bytes - start)) for start, length in fixed if start < self.size_bytes)
        return joined(heapq.merge(inside, self._copies()), self.size_bytes, DOING)

    def _copies(self) -> Iterator[Extent]:
        """Every copy of every extent, by its place on the device."""
        chunks = self._chunks()
        starts, lengths = array("Q"), array("Q")
        for start, length in self._extents(chunks):
            starts.append(start)
            lengths.append(length)
            if len(starts) > MOST_EXTENTS:
                raise DecodeError(DOING, f"more than {MOST_EXTENTS} extents")
        if sum(lengths) != self._used_bytes:
            raise DecodeError(DOING, f"{sum(lengths)} bytes by its extents, {self._used_bytes} by its superblock")
        found = 0
        for physical, chunk in sorted((place, one) for one in chunks for place in one.physical):
            first = bisect_left(starts, chunk.logical)
            last = bisect_left(starts, chunk.logical + chunk.length)
            found += (last - first) if physical == chunk.physical[0] else 0
            for at in range(first, last):
                if starts[at] + lengths[at] > chunk.logical + chunk.length:
                    raise DecodeError(DOING, f"the extent at {starts[at]} is not inside one chunk")
                yield physical + starts[at] - chunk.logical, lengths[at]
        if found != len(starts):
            raise DecodeError(DOING, "some extents are in no chunk")

    def _extents(self, chunks: tuple[Chunk, ...]) -> Iterator[Extent]:
        fetch = self._fetch(chunks)
        root = next(lookup(fetch, self._root, self._root_level, Key(EXTENT_TREE, ROOT_ITEM, 0)), None)
        if root is None or len(root.data) < 239:
            raise DecodeError(DOING, "it has no extent tree")
        (address,) = struct.unpack_from("<Q", root.data, 176)
        for item in items(fetch, address, root.data[238]):
            if item.key.kind == EXTENT_ITEM:
                yield item.key.objectid, item.key.offset
            elif item.key.kind == METADATA_ITEM:
                yield item.key.objectid, self._node_bytes

    def _chunks(self) -> tuple[Chunk, ...]:
        """From the superblock's own, which lead to the chunk tree, to all of them."""
        fetch = self._fetch(in_order(self._system_chunks()))
        found = (self._chunk(item) for item in items(fetch, self._chunk_root, self._chunk_level) if is_chunk(item))
        return in_order(found)

    def _system_chunks(self) -> Iterator[Chunk]:
        at = 0
        while at + Key.SIZE + CHUNK.size <= len(self._system):
            key = Key.unpack(self._system, at)
            at += Key.SIZE
            stripes = CHUNK.unpack_from(self._system, at)[7]
            length = CHUNK.size + stripes * STRIPE.size
            yield self._chunk(Item(key, self._system[at : at + length]))
            at += length

    def _chunk(self, item: Item) -> Chunk:
        if len(item.data) < CHUNK.size:
            raise DecodeError(DOING, f"the chunk at {item.key.offset} is cut short")
        length, _, _, profile, _, _, _, count, _ = CHUNK.unpack_from(item.data)
        if (
            not count
            or not length
            or len(item.data) < CHUNK.size + count * STRIPE.size
            or (profile & STRIPED and count > 1)
        ):
            raise DecodeError(DOING, f"the chunk at {item.key.offset} has {count} stripes, profile {profile:#x}")
        stripes = [STRIPE.unpack_from(item.data, CHUNK.size + place * STRIPE.size) for place in range(count)]
        for device, offset, _ in stripes:
            if device != self._device or offset + length > self.size_bytes:
                raise DecodeError(DOING, f"the chunk at {item.key.offset} lies outside device {self._device}")
        return Chunk(item.key.offset, length, tuple(offset for _, offset, _ in stripes))

    def _fetch(self, chunks: tuple[Chunk, ...]) -> Read:
        """Reading by logical addresses."""
        keys = [chunk.logical for chunk in chunks]

        def fetch(logical: int, length: int) -> bytes:
            length = length or self._node_bytes
            place = bisect_right(keys, logical) - 1
            if place < 0 or logical + length > chunks[place].logical + chunks[place].length:
                raise DecodeError(DOING, f"address {logical} is in no chunk")
            return self._read(chunks[place].physical[0] + logical - chunks[place].logical, length)

        return fetch


def is_chunk(item: Item) -> bool:
    """The chunk tree holds devices, too."""
    return item.key.kind == CHUNK_ITEM


def in_order(chunks: Iterator[Chunk]) -> tuple[Chunk, ...]:
    """By logical address. Raises `DecodeError` where two overlap."""
    ordered = sorted(islice(chunks, MOST_CHUNKS + 1))
    if not 0 < len(ordered) <= MOST_CHUNKS:
        raise DecodeError(DOING, f"it has no chunks, or more than {MOST_CHUNKS}")
    for one, next_one in pairwise(ordered):
        if one.logical + one.length > next_one.logical:
            raise DecodeError(DOING, f"the chunks at {one.logical} and {next_one.logical} overlap")
    return tuple(ordered)
