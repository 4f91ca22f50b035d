# SPDX-License-Identifier: Apache-2.0
"""Going on after the agent's or the machine's death: how far an image is on the disk, written on the disk itself.

The ramdisk's memory does not survive, so a small record lies in the disk's last MiB, which is nobody else's until the
disk is sealed. It names the image and how much of its file is on the medium. What is before that mark is read back
from the disk in place of being fetched; the file's digest covers it as it covers the rest, so a wrong record costs
time and no more. Raw images and QCOW2 without packed clusters can go on; packed streams start anew, for the state of
their decoder died with the agent: `bms-agent image pack` makes an image of them that can.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Lock

from agent.apply.lender import Lender
from agent.apply.meter import Meter, Stage
from agent.apply.source import Reader, Source
from agent.errors import DeviceError
from agent.host.doors import BlockDevice, Clock
from agent.model.disk import MIB, DiskIdentity
from agent.model.image import ImageRef
from agent.model.plan import WriteImage
from agent.program.log import Logger

RECORD = struct.Struct("<8s32sQQ32s")
"""Magic, key of image and disk, sequence, bytes of the file, SHA-256 of what is before."""
MAGIC = b"BMSMARK1"
PLACE_BYTES = 4096
"""Two places, written in turn: one is whole whatever happens to the other."""
PARTS = 100
LEAST_PART_BYTES = 8 * MIB
LONGEST_S = 10.0
"""The record is written after each such part of the file, and at least so often: what is lost is bounded, and so is
how often the disk is flushed. Death may come while it is flushed: what is lost is two parts then.
"""

log = Logger("image")

Segment = tuple[int, int | None, int | None]
"""(start, end, place): a range of the file, its end None for the file's own; and where on the disk it is, if it is."""


def key_of(image: ImageRef, disk: DiskIdentity, head_bytes: int, offset_bytes: int = 0) -> bytes:
    """Another image, format, disk, or place on it has another."""
    who = [image.sha256, image.sha512, image.format, disk.wwn, disk.serial, disk.size_bytes, head_bytes, offset_bytes]
    return hashlib.sha256(repr([str(one) for one in who]).encode()).digest()


def place_of(disk: BlockDevice) -> int:
    """Where the last MiB begins."""
    sector = disk.logical_sector_bytes
    return (disk.size_bytes - MIB) // sector * sector


def found(lender: Lender, step: WriteImage, image: ImageRef) -> int:
    """How much of the image's file is on the disk; 0 if nothing is known of it, or that cannot be read."""
    with lender.open_read() as disk:
        if disk.size_bytes < 2 * MIB:
            return 0
        try:
            data = disk.read(place_of(disk), 2 * PLACE_BYTES)
        except DeviceError as error:
            log.warning("what is known of the image on the disk cannot be read", error=str(error))
            return 0
    offset = step.table.root.offset_bytes if step.table else 0
    key = key_of(image, step.disk, step.hold_back_bytes, offset)
    return max(parse(data, key), parse(data[PLACE_BYTES:], key))[1]


def parse(data: bytes, key: bytes) -> tuple[int, int]:
    """(sequence, bytes of the file) of one record; zeroes for what is none, or is another's."""
    magic, whose, sequence, done, checksum = RECORD.unpack_from(data)
    is_sound = magic == MAGIC and hashlib.sha256(data[: RECORD.size - len(checksum)]).digest() == checksum
    return (sequence, done) if is_sound and whose == key else (0, 0)


def record(key: bytes, sequence: int, done_bytes: int) -> bytes:
    """One record."""
    body = RECORD.pack(MAGIC, key, sequence, done_bytes, bytes(32))[:-32]
    return (body + hashlib.sha256(body).digest()).ljust(PLACE_BYTES, b"\0")


class Bookmark:
    """Keeps the record of one image that is being written."""

    def __init__(self, disk: BlockDevice, key: bytes, done_bytes: int, total_bytes: int, clock: Clock) -> None:
        """`done_bytes` were found on the disk: that stays known, though both of its ends were zeroed just now."""
        self._disk = disk
        self._key = key
        self._clock = clock
        self._part_bytes = max(total_bytes // PARTS, LEAST_PART_BYTES)
        self._busy = Lock()
        self._sequence = 0
        self._written_bytes = 0
        self._written_s = clock.monotonic_s()
        self._write(done_bytes)

    def keep_up(self, done_bytes: int, flush: Callable[[], None]) -> None:
        """So much was handed to the disk: flush, and write the record, if it is time and nobody else is about it; who
        is two parts ahead waits for who is.
        """
        news = done_bytes - self._written_bytes
        if self._is_due(done_bytes) and self._busy.acquire(blocking=news >= 2 * self._part_bytes):
            try:
                if self._is_due(done_bytes):
                    flush()
                    self._write(done_bytes)
            finally:
                self._busy.release()

    def finish(self, total_bytes: int) -> None:
        """All was flushed."""
        self._write(total_bytes)

    def forget(self) -> None:
        """What was written is nothing to go on with."""
        self._disk.zero(place_of(self._disk), 2 * PLACE_BYTES)

    def _is_due(self, done_bytes: int) -> bool:
        news = done_bytes - self._written_bytes
        is_late = self._clock.monotonic_s() - self._written_s >= LONGEST_S
        return news >= self._part_bytes or (news > 0 and is_late)

    def _write(self, done_bytes: int) -> None:
        if done_bytes > self._written_bytes:
            self._sequence += 1
            place = place_of(self._disk) + self._sequence % 2 * PLACE_BYTES
            self._disk.write(place, record(self._key, self._sequence, done_bytes))
            self._written_bytes, self._written_s = done_bytes, self._clock.monotonic_s()


def forget(disk: BlockDevice, spare_bytes: int) -> None:
    """Zero the disk's last MiB, but for its end, where a table is: what is sealed is nobody's to go on with."""
    disk.zero(place_of(disk), disk.size_bytes - spare_bytes - place_of(disk))


class Spliced:
    """`Reader` of a file of which the disk has parts; these are read from there. To be used as a context."""

    def __init__(self, source: Source, disk: BlockDevice, segments: Iterator[Segment], meter: Meter) -> None:
        self._source = source
        self._disk = disk
        self._segments = segments
        self._meter = meter
        self._stack = ExitStack()
        self._reader: Reader | None = None
        self._place = 0
        self._left: int | None = 0
        self.reused_bytes = 0

    def __enter__(self) -> Spliced:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def fill(self, view: memoryview) -> int:
        """As promised by `Reader`."""
        done = 0
        while done < len(view) and (self._left != 0 or self._begin_next()):
            part = view[done:] if self._left is None else view[done : done + self._left]
            got = self._fill(part)
            done += got
            if self._left is not None:
                self._left -= got
            if got < len(part):
                break
        return done

    def _begin_next(self) -> bool:
        self._stack.close()
        segment = next(self._segments, None)
        if segment is None:
            return False
        start, end, place = segment
        self._left = None if end is None else end - start
        if place is None:
            self._reader = self._stack.enter_context(self._source.reader(start, self._left))
        else:
            self._reader, self._place = None, place
        return True

    def _fill(self, part: memoryview) -> int:
        if self._reader is not None:
            return self._reader.fill(part)
        with self._meter.busy(Stage.DISK):
            self._disk.read_into(self._place, part)
        self._place += len(part)
        self.reused_bytes += len(part)
        return len(part)


def segments(parts: Iterator[tuple[int, int, int]], head_bytes: int, total_bytes: int) -> Iterator[Segment]:
    """`parts` are (place in the file, place on the disk, length) of what is on the disk as it is, in file order, but
    for the head. The rest is to be fetched.
    """
    fetched = 0
    for at, place, length in parts:
        skip = max(head_bytes - place, 0)
        start, end = at + skip, at + length
        if start < end:
            if fetched < start:
                yield fetched, start, None
            yield start, end, place + skip
            fetched = end
    if fetched < total_bytes:
        yield fetched, None, None
