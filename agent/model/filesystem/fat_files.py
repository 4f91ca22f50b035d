# SPDX-License-Identifier: Apache-2.0
"""The files of a FAT filesystem, as of an EFI system partition: read from its bytes, so that nothing of a tenant's is
mounted. FAT12, FAT16 and FAT32, with long names. Pure.

Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03. A chain of clusters that runs
in a circle is an error; one that runs out of the filesystem ends there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import DecodeError
from agent.model.filesystem import Read
from agent.model.filesystem.fat import DOING, ENTRY_BYTES, layout

ENTRY = struct.Struct("<11sB8xHHHHI")
DELETED, LAST, HIDDEN_E5 = 0xE5, 0x00, 0x05
LONG_NAME, VOLUME, DIRECTORY = 0x0F, 0x08, 0x10
LONG_END = 0x40
LARGEST_DIRECTORY_BYTES = 2 * 1024 * 1024
"""65,536 entries: more than the specification allows in one."""


class File(NamedTuple):
    """A file or directory; `cluster` 0 has no content, or is the root's."""

    name: str
    is_directory: bool
    cluster: int
    size_bytes: int


class FatFiles:
    """One filesystem. Names are compared without regard to case, and paths begin with a slash."""

    def __init__(self, read: Read, size_bytes: int) -> None:
        """Raises `DecodeError` for what is none."""
        self._read = read
        self._layout = layout(read, size_bytes)
        self.uuid, self.label = self._layout.uuid, self._layout.label

    def names(self, directory: str) -> tuple[str, ...]:
        """What is in a directory, as it is written; nothing if there is none of that name. Raises `DecodeError`."""
        found = self._find(directory)
        if found is None or not found.is_directory:
            return ()
        return tuple(each.name for each in self._listed(found))

    def places(self, directory: str) -> tuple[tuple[int, int], ...]:
        """(offset, size) of what a directory's entries are in; nothing if there is none. Raises `DecodeError`."""
        found = self._find(directory)
        if found is None or not found.is_directory:
            return ()
        cluster = found.cluster or self._layout.root_cluster
        if not cluster:
            return ((self._layout.root_at, self._layout.root_bytes),)
        return tuple((at, self._layout.cluster_bytes) for at in self._clusters(cluster, LARGEST_DIRECTORY_BYTES))

    def find(self, path: str) -> str | None:
        """The path of a regular file as it is written there; `None` if there is none. Raises `DecodeError`."""
        parent, _, _ = path.rpartition("/")
        found = self._find(path)
        return None if found is None or found.is_directory else f"{parent}/{found.name}"

    def content(self, path: str, most_bytes: int) -> bytes:
        """A file's content. Raises `DecodeError`: also where there is none, or it is larger."""
        found = self._find(path)
        if found is None or found.is_directory or found.size_bytes > most_bytes:
            raise DecodeError(DOING, f"{path} is no file of at most {most_bytes} bytes")
        return b"".join(self._chain(found.cluster, found.size_bytes))[: found.size_bytes]

    def _find(self, path: str) -> File | None:
        at = File("", True, 0, 0)
        for part in (part for part in path.split("/") if part):
            if not at.is_directory:
                return None
            inside = (each for each in self._listed(at) if each.name.casefold() == part.casefold())
            found = next(inside, None)
            if found is None:
                return None
            at = found
        return at

    def _listed(self, directory: File) -> list[File]:
        cluster = directory.cluster or self._layout.root_cluster
        if not cluster:
            return list(entries(self._read(self._layout.root_at, self._layout.root_bytes)))
        return list(entries(b"".join(self._chain(cluster, LARGEST_DIRECTORY_BYTES))))

    def _chain(self, cluster: int, most_bytes: int) -> Iterator[bytes]:
        """The content of a chain, up to that length."""
        return (self._read(at, self._layout.cluster_bytes) for at in self._clusters(cluster, most_bytes))

    def _clusters(self, cluster: int, most_bytes: int) -> Iterator[int]:
        """Where a chain's clusters are, up to that length."""
        at, got, seen = self._layout, 0, set()
        while got < most_bytes and 2 <= cluster < at.clusters + 2:
            if cluster in seen:
                raise DecodeError(DOING, f"a chain of clusters runs in a circle at {cluster}")
            seen.add(cluster)
            yield at.data_at + (cluster - 2) * at.cluster_bytes
            got += at.cluster_bytes
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        """One entry of the table, which may be larger than memory, and of which a few are needed."""
        bits = self._layout.bits
        value = int.from_bytes(self._read(self._layout.table_at + cluster * bits // 8, -(-bits // 8)), "little")
        if bits == 12:
            return value >> 4 if cluster % 2 else value & 0xFFF
        return value & 0x0FFFFFFF


def entries(raw: bytes) -> Iterator[File]:
    """What a directory has, but for itself and the one above."""
    long: list[bytes] = []
    for at in range(0, len(raw) - ENTRY_BYTES + 1, ENTRY_BYTES):
        short, attributes, high, _, _, low, size = ENTRY.unpack_from(raw, at)
        if short[0] == LAST:
            return
        if short[0] == DELETED:
            long = []
        elif attributes & 0x3F == LONG_NAME:
            piece = raw[at + 1 : at + 11] + raw[at + 14 : at + 26] + raw[at + 28 : at + 32]
            long = [piece] if short[0] & LONG_END else [piece, *long]
        else:
            name = long_name(long) or short_name(short, raw[at + 12])
            long = []
            if not attributes & VOLUME and name not in (".", ".."):
                yield File(name, bool(attributes & DIRECTORY), high << 16 | low, size)


def long_name(pieces: list[bytes]) -> str:
    """The pieces stand before their entry, the last one first."""
    return b"".join(pieces).decode("utf-16-le", errors="replace").partition("\0")[0]


def short_name(raw: bytes, case: int) -> str:
    """Eight letters and three; Windows NT and Linux keep the case of each part in two bits (fs/fat/dir.c)."""
    fixed = (b"\xe5" if raw[0] == HIDDEN_E5 else raw[:1]) + raw[1:]
    stem, suffix = (fixed[:8].decode("cp437").rstrip(), fixed[8:].decode("cp437").rstrip())
    stem, suffix = stem.lower() if case & 0x08 else stem, suffix.lower() if case & 0x10 else suffix
    return f"{stem}.{suffix}" if suffix else stem
