# SPDX-License-Identifier: Apache-2.0
"""QCOW2: its tables are read first, by ranges; then the file once, in its own order, each cluster to its place.

The digest of the file so covers every byte that is used. What was read by ranges must be what passes by later: the
tables are hashed both times, and who writes compares the head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import assert_never

import zstandard
from isal import igzip_lib

from agent.apply.decode.unpack import Load, Plain
from agent.apply.meter import Meter, Stage
from agent.apply.ring import Feed, Slot
from agent.apply.source import Source
from agent.apply.target import GRAIN_BYTES
from agent.errors import DecodeError, ImageChanged, ImageError, ImageRefused, ImageTruncated
from agent.model.disk import MIB
from agent.model.qcow2 import HEADER_READ_BYTES, Compression, Header, parse_header
from agent.model.qcow2_map import Map, parse_l1

SCRATCH_BYTES = 2 * MIB
"""The largest cluster; as much is unpacked into one write."""
AT_ONCE = 4096
"""So many packed clusters are in mind: in a few MiB of a file there may be millions."""


class Witness:
    """A range of the file as it was read first; it must be the same when it passes by."""

    def __init__(self, offset_bytes: int, data: bytes) -> None:
        self.offset_bytes = offset_bytes
        self.end_bytes = offset_bytes + len(data)
        self._expected = hashlib.sha256(data).digest()
        self._seen = hashlib.sha256()

    def see(self, slot: Slot) -> bool:
        """What of it is in the slot; whether it is as it was, as far as can be said by now."""
        start = max(self.offset_bytes, slot.offset_bytes) - slot.offset_bytes
        end = min(self.end_bytes, slot.end_bytes) - slot.offset_bytes
        self._seen.update(slot.view[start:end])
        return self.end_bytes > slot.end_bytes or self._seen.digest() == self._expected


@dataclass
class Tables:
    """Reads the tables and the head, and keeps witnesses of them."""

    source: Source
    doing: str
    witnesses: list[Witness] = field(default_factory=list)

    @cached_property
    def opening(self) -> bytes:
        """The file's first bytes."""
        return self.read(0, min(HEADER_READ_BYTES, self.file_bytes))

    @cached_property
    def file_bytes(self) -> int:
        """Raises `ImageRefused` where ranges cannot be had."""
        does_ranges, size = self.source.does_ranges, self.source.size_bytes  # in this order: asking shows the size
        if not does_ranges or size is None:
            hint = "Serve it by a server that does ranges (RFC 9110, section 14), or as raw.zst."
            raise ImageRefused(
                self.doing, f"QCOW2 is read by ranges, which {self.source.name} does not give", hint=hint
            )
        return size

    def read(self, offset_bytes: int, length_bytes: int, *, is_kept: bool = True) -> bytes:
        """Exactly that many bytes."""
        data = bytearray(length_bytes)
        with self.source.reader(offset_bytes, length_bytes) as reader:
            got = reader.fill(memoryview(data))
        if got < length_bytes:
            raise ImageTruncated(self.doing, f"it has {offset_bytes + got} bytes, and should have {self.file_bytes}")
        if is_kept:
            self.witnesses.append(Witness(offset_bytes, bytes(data)))
        return bytes(data)

    def map(self, head_bytes: int) -> Map:
        """Raises `ImageRefused`; `ImageError` where the tables make no sense."""
        try:
            header = parse_header(self.opening, self.file_bytes)
            places = parse_l1(header, self.read(header.l1_offset_bytes, header.tables * 8), self.file_bytes)
            layout = Map(header, self.file_bytes, head_bytes)
            for number, at in enumerate(places):
                if at:
                    layout.add(number, self.read(at, header.cluster_bytes))
            layout.finish(places)
        except DecodeError as error:
            raise ImageError(self.doing, "it is not intact QCOW2") from error
        return layout

    def head(self, layout: Map, head_bytes: int) -> bytes:
        """The disk's first bytes, by ranges; less if it has no more."""
        size = layout.header.cluster_bytes
        head = memoryview(bytearray(-(-head_bytes // size) * size))
        for place, at, end, is_packed in layout.head():
            data = self.read(at, end - at, is_kept=False)
            if is_packed:
                unpack_cluster(layout.header.compression, memoryview(data), head[place : place + size], self.doing)
            else:
                head[place : place + len(data)] = data
        return bytes(head[: min(head_bytes, layout.header.size_bytes)])


class Qcow2Unpacker:
    """`Unpacker` of QCOW2."""

    reads_tables = True

    def __init__(self, source: Source, feed: Feed, meter: Meter, doing: str) -> None:
        self._tables = Tables(source, doing)
        self._feed = feed
        self._meter = meter
        self._doing = doing
        self._map: Map | None = None

    def opening(self) -> bytes:
        """By a range."""
        return self._tables.opening

    def begin(self, head_bytes: int) -> bytes:
        """Reads the tables."""
        self._map = self._tables.map(head_bytes)
        return self._tables.head(self._map, head_bytes)

    def holes(self) -> Iterator[tuple[int, int]]:
        """What no table mentions, or says to be zero."""
        assert self._map is not None
        return self._map.holes()

    def parts(self, done_bytes: int) -> Iterator[tuple[int, int, int]] | None:
        """Plain clusters; where any is packed, none."""
        assert self._map is not None
        return None if self._map.has_packed else self._map.runs(0, done_bytes)

    @property
    def disk_bytes(self) -> int:
        """As its header says."""
        assert self._map is not None
        return self._map.header.size_bytes

    @property
    def grain_bytes(self) -> int:
        """A cluster, where it is small."""
        assert self._map is not None
        return min(self._map.header.cluster_bytes, GRAIN_BYTES)

    def loads(self, there_bytes: int) -> Iterator[Load]:
        """In the file's order."""
        layout = self._map
        assert layout is not None
        packed = Packed(layout, self._meter, self._doing)
        witnesses = sorted(self._tables.witnesses, key=lambda one: one.offset_bytes)
        while (slot := self._feed.take()) is not None:
            witnesses = self._still_open(witnesses, slot)
            for at, place, length in layout.runs(slot.offset_bytes, slot.end_bytes):
                slot.hold()
                view = slot.view[at - slot.offset_bytes : at - slot.offset_bytes + length]
                yield Plain(place, view, slot.release, at + length <= there_bytes)
            yield from packed.loads(slot)
            slot.release()

    def _still_open(self, witnesses: list[Witness], slot: Slot) -> list[Witness]:
        for witness in witnesses:
            if witness.offset_bytes >= slot.end_bytes:
                break
            if not witness.see(slot):
                told = f"bytes {witness.offset_bytes} to {witness.end_bytes} are not what they were a moment ago"
                raise ImageChanged(self._doing, told)
        return [witness for witness in witnesses if witness.end_bytes > slot.end_bytes]


@dataclass(frozen=True)
class Clusters:
    """Packed clusters that follow each other on the disk; who writes them unpacks them."""

    offset_bytes: int
    length_bytes: int
    parts: tuple[memoryview, ...]
    header: Header
    release: Callable[[], None]
    meter: Meter
    doing: str
    is_there: bool = False

    def data(self, scratch: memoryview) -> memoryview:
        """Unpacked into the scratch."""
        size = self.header.cluster_bytes
        with self.meter.busy(Stage.DECODE, self.length_bytes):
            for number, part in enumerate(self.parts):
                cluster = scratch[number * size : (number + 1) * size]
                unpack_cluster(self.header.compression, part, cluster, self.doing)
        return scratch[: self.length_bytes]

    def done(self) -> None:
        """The slot is free."""
        self.release()


class Packed:
    """Finds the packed clusters in the slots as they come. One that begins in a slot may end in the next."""

    def __init__(self, layout: Map, meter: Meter, doing: str) -> None:
        self._header = layout.header
        self._coming = layout.packed()
        self._next = next(self._coming, None)
        self._meter = meter
        self._doing = doing
        self._cut: list[tuple[int, int, int]] = []
        self._kept = bytearray()
        self._kept_at = 0

    def loads(self, slot: Slot) -> Iterator[Load]:
        """What ends in this slot."""
        ended = self._ended(slot)
        while some := list(islice(ended, AT_ONCE)):
            some.sort(key=itemgetter(0))  # who packed with several threads mixed their order
            yield from self._grouped(some, slot)

    def _grouped(self, whole: list[tuple[int, memoryview]], slot: Slot) -> Iterator[Load]:
        """Those together that follow each other on the disk."""
        group: list[memoryview] = []
        first = 0
        most = max(SCRATCH_BYTES // 2 // self._header.cluster_bytes, 1)
        for guest, part in whole:
            if group and (guest != first + len(group) or len(group) == most):
                yield self._clusters(first, group, slot)
                group = []
            first = first if group else guest
            group.append(part)
        if group:
            yield self._clusters(first, group, slot)

    def _clusters(self, guest: int, parts: list[memoryview], slot: Slot) -> Clusters:
        slot.hold()
        at = guest * self._header.cluster_bytes
        length = min(len(parts) * self._header.cluster_bytes, self._header.size_bytes - at)
        return Clusters(at, length, tuple(parts), self._header, slot.release, self._meter, self._doing)

    def _ended(self, slot: Slot) -> Iterator[tuple[int, memoryview]]:
        yield from self._ended_of_cut(slot)
        while self._next is not None and self._next[0] < slot.end_bytes:
            at, end, guest = self._next
            if end <= slot.end_bytes:
                yield guest, slot.view[at - slot.offset_bytes : end - slot.offset_bytes]
            else:
                self._cut.append(self._next)
            self._next = next(self._coming, None)
        if self._cut:
            self._keep(slot)

    def _ended_of_cut(self, slot: Slot) -> Iterator[tuple[int, memoryview]]:
        """They are put together from what was kept of them and what came now."""
        if not self._cut:
            return
        kept = memoryview(
            bytes(self._kept) + bytes(slot.view[: max(end for _, end, _ in self._cut) - slot.offset_bytes])
        )
        for at, end, guest in self._cut:
            if end <= slot.end_bytes:
                yield guest, kept[at - self._kept_at : end - self._kept_at]
        self._cut = [one for one in self._cut if one[1] > slot.end_bytes]

    def _keep(self, slot: Slot) -> None:
        """What will be needed of this slot and those before; at most the largest packed cluster and a slot."""
        start = min(at for at, _, _ in self._cut)
        if start >= slot.offset_bytes:
            self._kept, self._kept_at = bytearray(slot.view[start - slot.offset_bytes :]), start
        else:
            del self._kept[: start - self._kept_at]
            self._kept += slot.view
            self._kept_at = start


def unpack_cluster(compression: Compression, packed: memoryview, cluster: memoryview, doing: str) -> None:
    """One cluster; what follows it in its last sector is another's. Raises `ImageError` if it does not fill it."""
    try:
        match compression:
            case Compression.ZLIB:
                unpacker = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
                data = unpacker.decompress(packed, len(cluster))
                got = len(data)
                cluster[:got] = data
            case Compression.ZSTD:
                reader = zstandard.ZstdDecompressor(max_window_size=2 * SCRATCH_BYTES).stream_reader(packed)
                got = reader.readinto(cluster)
            case _:
                assert_never(compression)
    except (igzip_lib.IsalError, zstandard.ZstdError) as error:  # type: ignore[misc] # the stub calls it an instance
        raise ImageError(doing, "one of its packed clusters is damaged") from error
    if got < len(cluster):
        raise ImageError(doing, f"one of its packed clusters has {got} bytes, not {len(cluster)}")
