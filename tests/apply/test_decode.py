# SPDX-License-Identifier: Apache-2.0
"""Unpacking, whatever the packing: exact at every boundary, honest about files that are cut, bounded in memory."""

from __future__ import annotations

import contextlib
import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ImageError, ImageTruncated
from agent.model.image import ImageFormat
from tests.apply.feeds import decoder_of, drained, feed_of, unpacked
from tests.apply.packed import PACKED, file_of

MIB = 1024 * 1024
NOISE = random.Random(1).randbytes(300_000)
PLAIN = NOISE + bytes(3_000_000) + NOISE[:70_001]
Files = dict[ImageFormat, bytes]
SMALL: Files = {one: file_of(NOISE[:2000] + bytes(300_000), one) for one in PACKED}
CHECKED: Files = SMALL | {
    ImageFormat.RAW_ZST: zstandard.ZstdCompressor(write_checksum=True).compress(NOISE[:2000] + bytes(300_000))
}
FORMATS = pytest.mark.parametrize("image_format", PACKED)


@pytest.mark.parametrize("piece_bytes", [997, 10**7])
@pytest.mark.parametrize("view_bytes", [1 << 12, 65537, 10**7])
@FORMATS
def test_boundaries_do_not_matter(image_format: ImageFormat, piece_bytes: int, view_bytes: int) -> None:
    """However the file comes in pieces and in whatever pieces it is asked for, the bytes are the same."""
    assert unpacked(file_of(PLAIN, image_format), image_format, piece_bytes, view_bytes) == PLAIN


@FORMATS
def test_byte_by_byte(image_format: ImageFormat) -> None:
    """Also one byte at a time, through a view of a single one."""
    small = NOISE[:500]
    assert unpacked(file_of(small, image_format) * 2, image_format, 1, 1) == small * 2


@given(st.lists(st.binary(max_size=3000).map(lambda data: data * 50), max_size=5), st.integers(1, 5000))
@settings(max_examples=25)
@FORMATS
def test_several_after_another(image_format: ImageFormat, parts: list[bytes], piece_bytes: int) -> None:
    """Any frames or members after another unpack to their contents after another; none of them may be empty."""
    file = b"".join(file_of(part, image_format) for part in parts)

    assert unpacked(file, image_format, piece_bytes) == b"".join(parts)


@FORMATS
def test_every_cut_is_noticed(image_format: ImageFormat) -> None:
    """A file that ends anywhere within a frame or member is truncated, though each byte that came was right."""
    file = SMALL[image_format]
    for length in [*range(1, len(file), 37), *range(len(file) - 30, len(file))]:
        for begun in (b"", file):
            with pytest.raises(ImageTruncated, match="in the middle of"):
                unpacked(begun + file[:length], image_format, 1000)


@FORMATS
def test_what_is_something_else(image_format: ImageFormat) -> None:
    """Other bytes, at the beginning or behind what was whole, are an error and never image."""
    for rubbish in (b"no archive of any kind at all", b"PK\3\4" * 9):
        for file in (rubbish, SMALL[image_format] + rubbish):
            with pytest.raises(ImageError, match="not intact"):
                unpacked(file, image_format, 1000)


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=50)
@FORMATS
def test_damage_is_an_error_of_ours(image_format: ImageFormat, place: int, change: int) -> None:
    """A changed byte gives an error of ours, or changes nothing, where the packing has a checksum of its content."""
    damaged = bytearray(CHECKED[image_format])
    damaged[place % len(damaged)] ^= change
    with contextlib.suppress(ImageError):
        assert unpacked(bytes(damaged), image_format, 1000) == NOISE[:2000] + bytes(300_000)


@FORMATS
def test_memory_is_bounded(image_format: ImageFormat) -> None:
    """A few kilobytes that unpack to hundreds of megabytes are unpacked a piece at a time."""
    bomb = file_of(bytes(32 * MIB), image_format) * 3
    decoder = decoder_of(feed_of(bomb, MIB), image_format)
    tracemalloc.start()
    count = drained(decoder, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 3 * 32 * MIB
    assert peak < 16 * MIB
