# SPDX-License-Identifier: Apache-2.0
"""Packed streams of any bytes: what they unpack to, or an error of ours; a piece at a time, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
import resource
import struct
import tracemalloc

import pytest
import zstandard

from agent.apply.decode.members import XZ_MEMORY_BYTES
from agent.apply.decode.zstd import Frames
from agent.errors import AgentError, ImageError
from agent.host.fake import Page
from agent.model.image import ImageFormat
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, serve
from tests.apply.feeds import decoder_of, drained, feed_of, unpacked
from tests.apply.packed import PACKED, STREAMS, file_of
from tests.apply.qcow2 import Shape, qcow2
from tests.apply.writing import head_of, must_hold, write
from tests.mutations import inputs

SEED = 20261121
NOISE = random.Random(9).randbytes(3000)
PLAIN = NOISE + bytes(20_000) + NOISE[:1000] * 5
SKIPPABLE = struct.pack("<II", 0x184D2A50, 100) + bytes(100)
FORMATS = pytest.mark.parametrize("image_format", PACKED)


def zstd(**told: object) -> bytes:
    """A frame."""
    return zstandard.ZstdCompressor(**told).compress(PLAIN)  # type: ignore[arg-type]


SAMPLES: dict[ImageFormat, list[bytes]] = {
    ImageFormat.RAW_ZST: [
        zstd(write_checksum=True),
        zstd(write_content_size=False, level=1) + zstd(level=19, write_checksum=True),
        SKIPPABLE + zstd() + SKIPPABLE,
    ],
    ImageFormat.RAW_GZ: [gzip.compress(PLAIN), gzip.compress(PLAIN, 0) + gzip.compress(NOISE, 9)],
    ImageFormat.RAW_XZ: [
        lzma.compress(PLAIN, check=lzma.CHECK_SHA256),
        lzma.compress(NOISE, check=lzma.CHECK_NONE) + bytes(8) + lzma.compress(PLAIN),
    ],
    ImageFormat.RAW_BZ2: [bz2.compress(PLAIN), bz2.compress(NOISE, 1) + bz2.compress(b"")],
}


@FORMATS
def test_any_bytes(image_format: ImageFormat) -> None:
    """Unpacked to an end, or refused; also when they come in small pieces."""
    for name, file in inputs(SEED, SAMPLES[image_format], most=1500, longest_s=0.7):
        noise = random.Random(name)
        try:
            unpacked(file, image_format, noise.choice((7, 1000, 10**6)), noise.choice((333, 65536)))
        except ImageError:
            continue
        except Exception as error:
            raise AssertionError(f"input {name}") from error


@FORMATS
def test_memory_and_time(image_format: ImageFormat) -> None:
    """Whatever a header promises, no more is taken than what a window may be; and it comes to an end."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    for name, file in inputs(SEED + 1, SAMPLES[image_format], most=300, longest_s=0.7):
        try:
            count = drained(decoder_of(feed_of(file, 4096), image_format), 65536)
        except ImageError:
            continue
        assert count < 1100 * max(len(file), 1000), name
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * MIB + (XZ_MEMORY_BYTES if image_format is ImageFormat.RAW_XZ else 0)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 200 * 1024


def test_the_walk_and_the_library_agree() -> None:
    """Where a zstd file may end is decided beside the library: what one takes for whole is whole to the other."""
    for name, file in inputs(SEED + 2, SAMPLES[ImageFormat.RAW_ZST], most=1500, longest_s=0.7):
        frames = Frames("walking")
        try:
            frames.feed(memoryview(file))
            frames.end()
        except (ImageError, zstandard.ZstdError):
            with pytest.raises(ImageError):
                unpacked(file, ImageFormat.RAW_ZST)
            continue
        assert in_frames(file) or raises(file), name


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


def raises(file: bytes) -> bool:
    """Whether it is refused."""
    try:
        unpacked(file, ImageFormat.RAW_ZST)
    except ImageError:
        return True
    return False


SMALL = gpt_image(4 * MIB)
SHAPES = (Shape(2, 16, packed=0.5, seed=1), Shape(3, 12, packed=0.5, zeroes=0.5, seed=2), Shape(zeroes=1.0, seed=3))


@pytest.mark.parametrize("image_format", STREAMS)
def test_any_file_is_written_or_not(image_format: ImageFormat) -> None:
    """As it was published: all of it is on the disk, or an error of ours says why not, and nothing is handed on."""
    samples = [file_of(SMALL, image_format)]
    if image_format is ImageFormat.QCOW2:
        samples = [qcow2(SMALL, shape) for shape in SHAPES]
    for name, file in inputs(SEED + 3, samples, most=60, longest_s=0.8):
        made = machine(16 * MIB)
        image = serve(made, SMALL, image_format, size_bytes=None, file_bytes=None)
        made.web[URL] = Page(file)
        digest = hashlib.sha256(file).hexdigest()
        try:
            result = write(made, image.model_copy(update={"sha256": digest}), verify=True)
        except AgentError:
            assert head_of(made) is None and not any(disk_of(made).durable.read(0, MIB)), name
            continue
        except Exception as error:
            raise AssertionError(f"input {name}") from error
        size = result["image_bytes"]
        assert isinstance(size, int) and head_of(made) is not None
        if image_format is not ImageFormat.QCOW2:
            must_hold(made, file if image_format is ImageFormat.RAW else unpacked(file, image_format))
