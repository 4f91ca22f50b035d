# SPDX-License-Identifier: Apache-2.0
"""Small QCOW2 files (QEMU, docs/interop/qcow2.rst), with every kind of cluster that is wanted, in any order.

What a reader does not look at is left out: refcounts are an empty table, which QEMU, too, takes for reading.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field

import zstandard

from agent.model.qcow2 import COMPRESSION, HEADER, HEADER_3, HEADER_3_BYTES, MAGIC, Compression

COPIED, PACKED, ZERO = 1 << 63, 1 << 62, 1


@dataclass(frozen=True)
class Shape:
    """How it is made. `seed` shuffles clusters and tables; `packed` and `zeroes` are shares of the clusters with data
    that are packed, and of the empty ones that are written down as zero, in one of the ways that there are.
    """

    version: int = 3
    cluster_bits: int = 16
    compression: Compression = Compression.ZLIB
    packed: float = 0.0
    zeroes: float = 0.0
    seed: int = 0
    header: dict[str, int] = field(default_factory=dict)
    """Fields that say something else: backing_at, backing_size, crypt, incompatible …"""


PLAIN = Shape()


def qcow2(image: bytes, shape: Shape = PLAIN) -> bytes:
    """The file."""
    return Builder(image, shape).file()


class Builder:
    """One file."""

    def __init__(self, image: bytes, shape: Shape) -> None:
        self._image = image
        self._shape = shape
        self._size = 1 << shape.cluster_bits
        self._noise = random.Random(shape.seed)
        self._body = bytearray()
        self._clusters = -(-len(image) // self._size)
        self._entries = [0] * self._clusters

    def file(self) -> bytes:
        """Header, an empty refcount table, L1 table; then clusters and L2 tables; then packed clusters."""
        size, count = self._size, self._size // 8
        tables = -(-self._clusters // count)
        self._body = bytearray(2 * size + -(-tables * 8 // size) * size)
        order: list[tuple[str, int]] = [("cluster", number) for number in range(self._clusters)]
        if self._shape.seed:
            self._noise.shuffle(order)
        packed = [number for _, number in order if not self._place(number)]
        for number in packed:
            self._pack(number)
        self._align()
        places = []
        for table in range(tables):
            entries = self._entries[table * count : (table + 1) * count]
            places.append(len(self._body) | COPIED if any(entries) else 0)
            if any(entries):
                self._body += struct.pack(f">{len(entries)}Q", *entries).ljust(size, b"\0")
        struct.pack_into(f">{tables}Q", self._body, 2 * size, *places)
        header = self._header(tables)
        self._body[: len(header)] = header
        return bytes(self._body)

    def _place(self, number: int) -> bool:
        """Put a cluster where the file ends; False if it is to be packed."""
        data = self._data(number)
        if not any(data):
            is_said = self._noise.random() < self._shape.zeroes
            self._entries[number] = self._zero() if is_said else 0
            return True
        if self._noise.random() < self._shape.packed and len(self._squeezed(data)) < self._size:
            return False
        self._entries[number] = self._add(data) | COPIED
        return True

    def _zero(self) -> int:
        """Zero by a flag, by a flag beside a cluster with old data, or by zeroes."""
        kind = self._noise.randrange(3) if self._shape.version == 3 else 2
        if kind == 0:
            return ZERO
        return self._add(b"\xee" * self._size) | COPIED | ZERO if kind == 1 else self._add(bytes(self._size)) | COPIED

    def _pack(self, number: int) -> None:
        """Packed clusters follow each other without gaps; their length is told in sectors."""
        data = self._squeezed(self._data(number))
        at = len(self._body)
        self._body += data
        sectors = (at + len(data) - 1) // 512 - at // 512
        self._entries[number] = PACKED | sectors << (62 - (self._shape.cluster_bits - 8)) | at

    def _squeezed(self, data: bytes) -> bytes:
        if self._shape.compression is Compression.ZSTD:
            return zstandard.compress(data, 1)
        packer = zlib.compressobj(1, zlib.DEFLATED, -12)
        return packer.compress(data) + packer.flush()

    def _data(self, number: int) -> bytes:
        return self._image[number * self._size : (number + 1) * self._size].ljust(self._size, b"\0")

    def _add(self, data: bytes) -> int:
        self._body += data
        return len(self._body) - len(data)

    def _align(self) -> None:
        self._body += bytes(-len(self._body) % self._size)

    def _header(self, tables: int) -> bytes:
        shape, is_zstd = self._shape, self._shape.compression is Compression.ZSTD
        told = {
            "version": shape.version,
            "backing_at": 0,
            "backing_size": 0,
            "bits": shape.cluster_bits,
            "size": len(self._image),
            "crypt": 0,
            "l1_entries": tables,
            "l1_at": 2 * self._size,
            "refcounts_at": self._size,
            "refcount_clusters": 1,
            "snapshots": 0,
            "snapshots_at": 0,
            "incompatible": COMPRESSION if is_zstd else 0,
        } | shape.header
        *fields, incompatible = told.values()
        head = HEADER.pack(MAGIC, *fields)
        if shape.version < 3:
            return head
        length = HEADER_3_BYTES + (8 if is_zstd else 0)
        return head + HEADER_3.pack(incompatible, 0, 0, 4, length) + bytes([is_zstd]).ljust(8, b"\0")
