# SPDX-License-Identifier: Apache-2.0
"""The header of a QCOW2 image, versions 2 and 3 (QEMU, docs/interop/qcow2.rst). Pure. Its tables: `qcow2_map.py`.

What would need another file, a key or a repair is refused by name. The active layer is what is read; internal
snapshots lie beside it and are no part of the disk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from agent.errors import DecodeError, ImageRefused

MAGIC = b"QFI\xfb"
HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
HEADER_3 = struct.Struct(">QQQII")
HEADER_3_BYTES = 104
HEADER_READ_BYTES = 64 * 1024
"""So much of the file is enough for the header and its extensions."""
CLUSTER_BITS = range(9, 22)
L1_BYTES = 32 * 1024 * 1024
"""QCOW_MAX_L1_SIZE (block/qcow2.h)."""
MOST_CLUSTERS = 1 << 22
"""Of the file: the map takes four bytes for each. With the usual 64 KiB this is a file of 1 TiB."""
MOST_TABLES = 1 << 15
"""L2 tables: each is read on its own and kept in mind. With the usual 64 KiB this is a disk of 16 TiB."""
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
EXTERNAL_NAME, FEATURE_NAMES = 0x44415441, 0x6803F857
SECTOR_BYTES = 512
CIPHERS = {1: "AES", 2: "LUKS"}
DOING = "reading the QCOW2 image"
LARGER_CLUSTERS = "Convert it with larger clusters: qemu-img convert -o cluster_size=2M"


class Compression(Enum):
    """How packed clusters are packed: `zlib` is raw deflate."""

    ZLIB = 0
    ZSTD = 1


@dataclass(frozen=True)
class Header:
    """What the header says. `size_bytes` is the disk's."""

    version: int
    size_bytes: int
    cluster_bytes: int
    l1_offset_bytes: int
    l1_entries: int
    compression: Compression

    @property
    def l2_entries(self) -> int:
        """Of one table, which takes one cluster."""
        return self.cluster_bytes // 8

    @property
    def clusters(self) -> int:
        """Of the disk."""
        return -(-self.size_bytes // self.cluster_bytes)

    @property
    def tables(self) -> int:
        """So many L2 tables map the disk; the L1 table has at least as many entries."""
        return -(-self.clusters // self.l2_entries)


def parse_header(head: bytes, file_bytes: int) -> Header:
    """`head` is the file's first `HEADER_READ_BYTES`, or all of it.

    Raises `ImageRefused` for what is not written on a host, `DecodeError` for what is no sound QCOW2 image.
    """
    if len(head) < HEADER.size or head[:4] != MAGIC:
        raise DecodeError(DOING, "it does not begin as one")
    (_, version, backing_at, backing_size, bits, size, crypt, l1_entries, l1_at, *_) = HEADER.unpack_from(head)
    if version not in (2, 3):
        raise ImageRefused(DOING, f"it is QCOW version {version}; 2 and 3 are known")
    if backing_at:
        name = head[backing_at : backing_at + min(backing_size, 1023)].decode("utf-8", errors="replace")
        raise ImageRefused(DOING, f"it has a backing file, {name!r}", hint="Flatten it: qemu-img convert -O qcow2")
    if crypt:
        raise ImageRefused(DOING, f"it is encrypted ({CIPHERS.get(crypt, crypt)})")
    compression = parse_features(head) if version == 3 else Compression.ZLIB
    if bits not in CLUSTER_BITS:
        raise DecodeError(DOING, f"its clusters have 2^{bits} bytes; 2^9 to 2^21 are possible")
    header = Header(version, size, 1 << bits, l1_at, l1_entries, compression)
    must_be_sound(header, file_bytes)
    return header


def must_be_sound(header: Header, file_bytes: int) -> None:
    """Sizes and places are possible, and the maps fit in memory."""
    if not header.size_bytes or header.size_bytes % SECTOR_BYTES or header.size_bytes >= 1 << 63:
        raise DecodeError(DOING, f"its disk has {header.size_bytes} bytes")
    if file_bytes // header.cluster_bytes >= MOST_CLUSTERS or header.clusters >= 1 << 32:
        told = f"{header.cluster_bytes} bytes are too small for clusters of {file_bytes} bytes with {header.size_bytes}"
        raise ImageRefused(DOING, told, hint=LARGER_CLUSTERS)
    if header.tables > MOST_TABLES:
        raise ImageRefused(DOING, f"it needs {header.tables} L2 tables, which is too many", hint=LARGER_CLUSTERS)
    if header.l1_entries * 8 > L1_BYTES:
        raise DecodeError(DOING, f"its L1 table has {header.l1_entries} entries, which is too many")
    if header.l1_entries < header.tables:
        raise DecodeError(DOING, f"its L1 table has {header.l1_entries} entries, its disk needs {header.tables}")
    at = header.l1_offset_bytes
    if not at or at % header.cluster_bytes or at + header.tables * 8 > file_bytes:
        raise DecodeError(DOING, f"its L1 table at byte {at} is not in the file's {file_bytes} bytes")


def parse_features(head: bytes) -> Compression:
    """Version 3 says what a reader has to understand."""
    if len(head) < HEADER_3_BYTES:
        raise DecodeError(DOING, "its header is cut")
    incompatible, _, _, _, length = HEADER_3.unpack_from(head, HEADER.size)
    if not HEADER_3_BYTES <= length <= len(head) or length % 8:
        raise DecodeError(DOING, f"its header has {length} bytes")
    extensions = dict(parse_extensions(head, length))
    refusals = {
        DIRTY: ("it was not closed in order", "Repair it: qemu-img check -r all"),
        CORRUPT: ("it is marked as corrupt", "Repair it: qemu-img check -r all"),
        EXTERNAL_DATA: (
            f"its data is in another file, {extensions.get(EXTERNAL_NAME, b'').decode(errors='replace')!r}",
            None,
        ),
        EXTENDED_L2: ("it has subclusters (extended L2 entries)", None),
    }
    for bit, (evidence, hint) in refusals.items():
        if incompatible & bit:
            raise ImageRefused(DOING, evidence, hint=hint)
    unknown = incompatible & ~COMPRESSION
    if unknown:
        raise ImageRefused(DOING, f"it needs {feature_names(unknown, extensions.get(FEATURE_NAMES, b''))}")
    kind = head[HEADER_3_BYTES] if length > HEADER_3_BYTES else 0
    if bool(kind) != bool(incompatible & COMPRESSION):
        raise DecodeError(DOING, f"it says two things of its compression, type {kind}")
    if kind not in [one.value for one in Compression]:
        raise ImageRefused(DOING, f"its compression, type {kind}, is not known")
    return Compression(kind)


def parse_extensions(head: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """(type, content) of the header's extensions; what does not lie in the head is left out."""
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if not kind or at + 8 + length > len(head):
            return
        yield kind, head[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8


def feature_names(bits: int, names: bytes) -> str:
    """What the image itself calls the incompatible features of these bits."""
    told = {}
    for at in range(0, len(names) - 47, 48):
        if not names[at]:
            told[names[at + 1]] = names[at + 2 : at + 48].rstrip(b"\0").decode("utf-8", errors="replace")
    return ", ".join(f"the feature {told.get(bit, bit)!r}" for bit in range(64) if bits >> bit & 1)
