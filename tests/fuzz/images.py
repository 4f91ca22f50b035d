# SPDX-License-Identifier: Apache-2.0
"""Images: chunked ones, QCOW2, packed streams, config drives; and the agent's own records, on disks that lie."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import zstandard

from agent.apply.decode.members import XZ_MEMORY_BYTES
from agent.apply.decode.zstd import Frames
from agent.apply.resume import PLACE_BYTES, parse, record
from agent.controller.images import measure_of
from agent.controller.refusal import Refused
from agent.errors import DecodeError, ImageError, ImageRefused
from agent.job.log import unframe as unframe_log
from agent.model import chunked
from agent.model.config_drive import unpacked as unpacked_drive
from agent.model.disk import GB
from agent.model.image import ImageFormat
from agent.model.image_signature import is_signed_by
from agent.model.qcow2 import HEADER_READ_BYTES, Compression, parse_header
from agent.model.qcow2_map import Map, parse_l1
from tests.apply.feeds import unpacked
from tests.apply.qcow2 import Shape, qcow2
from tests.apply.test_signed_elsewhere import GOOD, OURS
from tests.controller.chunks import DISK, manifest_of, packed
from tests.fuzz.row import MIB, Row
from tests.job.test_log import BYTES

NOISE = random.Random(9).randbytes(400)
PLAIN = NOISE + bytes(3000) + NOISE[:150] * 5
"""Short: a decoder is asked for each piece of a file, and of its output, so that its length is what an input costs."""
SKIPPABLE = struct.pack("<II", 0x184D2A50, 100) + bytes(100)
KEY = bytes(range(32))
Unpack = Callable[[bytes], object]


def zstd(**told: object) -> bytes:
    """A frame."""
    return zstandard.ZstdCompressor(**told).compress(PLAIN)  # type: ignore[arg-type]


STREAMS: dict[ImageFormat, list[bytes]] = {
    ImageFormat.RAW_ZST: [
        zstd(write_checksum=True),
        zstd(write_content_size=False, level=1) + zstd(level=19, write_checksum=True),
        SKIPPABLE + zstd() + SKIPPABLE,
    ],
    ImageFormat.RAW_GZ: [gzip.compress(PLAIN), gzip.compress(NOISE, 0) + gzip.compress(PLAIN, 9)],
    ImageFormat.RAW_XZ: [
        lzma.compress(PLAIN, check=lzma.CHECK_SHA256),
        lzma.compress(NOISE, check=lzma.CHECK_NONE) + bytes(8) + lzma.compress(PLAIN),
    ],
    ImageFormat.RAW_BZ2: [bz2.compress(PLAIN), bz2.compress(NOISE, 1) + bz2.compress(b"")],
}


def stream(image_format: ImageFormat) -> Unpack:
    """Unpacked to an end; also when it comes in small pieces, and is wanted in small ones."""

    def unpack(file: bytes) -> object:
        chance = random.Random(zlib.crc32(file))
        out = unpacked(file, image_format, chance.choice((7, 1000, 10**6)), chance.choice((333, 65536)))
        assert len(out) < 1100 * max(len(file), 1000), "of so few bytes"
        return out

    return unpack


def walked(file: bytes) -> object:
    """Where a zstd file may end is decided beside the library: what is whole to one is whole to the other."""
    frames = Frames("walking")
    try:
        frames.feed(memoryview(file))
        frames.end()
    except (ImageError, zstandard.ZstdError) as error:
        assert is_refused(file)
        raise ImageError("walking", str(error)) from error
    assert in_frames(file) or is_refused(file)
    return None


def in_frames(file: bytes) -> bool:
    """Whether the library itself unpacks it, frame by frame, to what comes through the decoder."""
    out, rest = b"", file
    try:
        while rest:
            if rest[1:4] == b"\x2a\x4d\x18":
                rest = rest[8 + int.from_bytes(rest[4:8], "little") :]
                continue
            one = zstandard.ZstdDecompressor().decompressobj()
            out, rest = out + one.decompress(rest), one.unused_data
        return unpacked(file, ImageFormat.RAW_ZST) == out
    except (zstandard.ZstdError, ImageError):
        return False


def is_refused(file: bytes) -> bool:
    """By the decoder."""
    try:
        unpacked(file, ImageFormat.RAW_ZST)
    except ImageError:
        return True
    return False


def measured(form: ImageFormat) -> Unpack:
    """As the controller takes an upload."""

    def measure(body: bytes) -> object:
        measuring = measure_of(form, GB)
        for at in range(0, len(body), 1000):
            measuring.write(body[at : at + 1000])
        found = measuring.finish(io.BytesIO(body))
        if form is ImageFormat.CHUNKED:
            assert zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read() == DISK
        return found

    return measure


HEAD_BYTES = 1 << 20
CLUSTERS = random.Random(4).randbytes(40_000)
IMAGE = CLUSTERS.translate(bytes(byte & 0x3F for byte in range(256))) + bytes(50_000) + CLUSTERS[:9840]


def qcow2s() -> list[bytes]:
    """Both versions, clusters of many sizes, packed by both ways, zeroed, missing."""
    return [
        qcow2(IMAGE, Shape(2, 9)),
        qcow2(IMAGE, Shape(3, 9, Compression.ZSTD, 0.8, 0.5, 1)),
        qcow2(IMAGE, Shape(3, 10, packed=0.6, zeroes=0.5, seed=2)),
        qcow2(IMAGE, Shape(3, 12, packed=0.3, zeroes=0.5, seed=3)),
        qcow2(bytes(1 << 20) + IMAGE, Shape(2, 16, packed=1.0)),
    ]


def mapped(file: bytes) -> object:
    """As the engine reads it. Each byte of the disk comes from one place at most, which is in the file."""
    header = parse_header(file[:HEADER_READ_BYTES], len(file))
    at = header.l1_offset_bytes
    tables = parse_l1(header, file[at : at + header.tables * 8], len(file))
    layout = Map(header, len(file), HEAD_BYTES)
    for number, place in enumerate(tables):
        if place:
            layout.add(number, file[place : place + header.cluster_bytes])
    layout.finish(tables)
    taken = sorted([*of_file(layout, len(file)), *layout.holes()])
    assert taken[0][0] == 0 and taken[-1][1] == header.size_bytes
    assert all(end == start for (_, end), (start, _) in pairwise(taken)), "a gap, or twice"
    for place, at, end, _ in layout.head():
        assert place % header.cluster_bytes == 0 and place < HEAD_BYTES + header.cluster_bytes
        assert 0 <= at <= end <= len(file)
    return layout


def of_file(layout: Map, file_bytes: int) -> Iterator[tuple[int, int]]:
    """Places on the disk that the file has data for."""
    size, cluster = layout.header.size_bytes, layout.header.cluster_bytes
    for at, place, length in layout.runs(0, file_bytes):
        assert length > 0 and at >= 0 and at + length <= file_bytes
        yield place, place + length
    before = 0
    for at, end, guest in layout.packed():
        assert before <= at < end <= file_bytes and guest * cluster < size
        before = at
        yield guest * cluster, min((guest + 1) * cluster, size)


def manifest(payload: bytes) -> object:
    """Data and holes are all of the disk."""
    found = chunked.parse(payload)
    assert found.largest_frame >= 0
    assert sum(length for _, length in found.holes()) + found.data_bytes == found.disk_bytes
    return found


def last_of_file(tail: bytes) -> object:
    """The manifest's place is in the file, of any length."""
    size = max(len(tail), random.Random(zlib.crc32(tail)).choice((0, 1 << 20, 1 << 40, 1 << 62)))
    place = chunked.place_of_manifest(tail, size)
    assert place.offset >= 0 and place.offset + place.length <= size
    return place


def kept(noise: bytes) -> object:
    """Of a log, every whole record that stands before the damage."""
    bodies, intact = unframe_log(BYTES + noise)
    assert len(bodies) >= 3 and intact >= len(BYTES)
    return bodies


def resumed(data: bytes) -> object:
    """Only what was written as a record says anything."""
    found = parse(data.ljust(PLACE_BYTES, b"\0")[:PLACE_BYTES], KEY)
    assert found in ((0, 0), (7, 1 << 30))
    return found


FILE = packed()
ROOM = XZ_MEMORY_BYTES + 8 * MIB
"""For what unpacks: xz may ask for so much, and no more."""
FRAMED = chunked.frame(chunked.MANIFEST_MAGIC, manifest_of(FILE).payload)
TABLE = chunked.seek_table(b"".join(chunked.SEEK_ENTRY.pack(1000 + each, 4096) for each in range(5)))
ROWS = {
    "qcow2": Row(mapped, qcow2s, (DecodeError, ImageRefused)),
    "chunked manifest": Row(manifest, lambda: [manifest_of(FILE).payload]),
    "chunked frames": Row(lambda raw: chunked.unframe(memoryview(raw)), lambda: [FRAMED]),
    "chunked tail": Row(last_of_file, lambda: [FILE[-400:], FILE[-64:]]),
    "chunked seek table": Row(lambda raw: list(chunked.sizes_of(raw)), lambda: [TABLE]),
    "image signature": Row(lambda raw: is_signed_by(b"", raw, OURS), lambda: [*GOOD.values()], ()),
    "config drive": Row(unpacked_drive, lambda: [gzip.compress(PLAIN)], most_bytes=140 * MIB),
    "log": Row(kept, lambda: [BYTES, b""], ()),
    "record of a write": Row(resumed, lambda: [record(KEY, 7, 1 << 30)], ()),
    **{
        str(form): Row(stream(form), partial(STREAMS.__getitem__, form), (ImageError,), most_bytes=ROOM)
        for form in STREAMS
    },
    "zstd, walked": Row(walked, lambda: STREAMS[ImageFormat.RAW_ZST], (ImageError,)),
    **{
        f"upload of {form}": Row(measured(form), partial(STREAMS.__getitem__, form), (Refused,), most_bytes=ROOM)
        for form in STREAMS
    },
    "upload of chunked": Row(measured(ImageFormat.CHUNKED), lambda: [FILE], (Refused,), most_bytes=32 * MIB),
}
