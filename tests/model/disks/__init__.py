# SPDX-License-Identifier: Apache-2.0
"""Small filesystems of the real mkfs, without their zeroes, for tests that need no root.

Made by `python -m tests.model.disks`, as root: mkfs, a few files, unmounted; a disc by xorriso. Kept as zstd of
(offset, length, bytes).
"""

from __future__ import annotations

import struct
from pathlib import Path

import zstandard

from agent.host.fake.disk import SparseBytes

FOLDER = Path(__file__).parent
PIECE = struct.Struct("<QI")
GRAIN_BYTES = 4096
SIZES_MIB = {
    "ext4": 64,
    "ext4-1k": 24,
    "ext4-bigalloc": 64,
    "xfs": 300,
    "btrfs": 120,
    "btrfs-mixed": 40,
    "fat16": 20,
    "fat32": 64,
}
DISC, DISC_BYTES = "iso9660", 140 * 2048


def pieces(name: str) -> list[tuple[int, bytes]]:
    """(offset, bytes) of what is not zero."""
    raw = zstandard.ZstdDecompressor().decompress((FOLDER / f"{name}.zst").read_bytes(), max_output_size=1 << 26)
    found, at = [], 0
    while at < len(raw):
        offset, length = PIECE.unpack_from(raw, at)
        at += PIECE.size
        found.append((offset, raw[at : at + length]))
        at += length
    return found


def load(name: str) -> tuple[SparseBytes, int]:
    """The filesystem, and its size."""
    content = SparseBytes()
    for offset, data in pieces(name):
        content.write(offset, data)
    return content, SIZES_MIB[name] << 20


def disc() -> bytes:
    """The beginning of one: behind it there is only padding."""
    content = SparseBytes()
    for offset, data in pieces(DISC):
        content.write(offset, data)
    return content.read(0, DISC_BYTES)


def save(name: str, path: Path) -> None:
    """From a file."""
    raw = bytearray()
    with path.open("rb") as file:
        offset = 0
        while grain := file.read(GRAIN_BYTES):
            if any(grain):
                raw += PIECE.pack(offset, len(grain)) + grain
            offset += len(grain)
    (FOLDER / f"{name}.zst").write_bytes(zstandard.ZstdCompressor(19).compress(bytes(raw)))
