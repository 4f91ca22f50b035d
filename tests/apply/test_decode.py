# SPDX-License-Identifier: Apache-2.0
"""Unpacking: exact at every boundary, honest about files that are cut, and bounded in memory."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.apply.decode import Decoder
from agent.errors import DigestMismatch, ImageError, ImageTruncated
from agent.model.image import ImageFormat

NOISE = random.Random(1).randbytes(300_000)
PLAIN = NOISE + bytes(5_000_000) + NOISE[:70_001]
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"ignored"
BLOCK_BYTES = 128 * 1024


def packed(data: bytes, **parameters: object) -> bytes:
    """One frame."""
    return zstandard.ZstdCompressor(**parameters).compress(data)  # type: ignore[arg-type]


def cut(file: bytes, size_bytes: int) -> Iterator[bytes]:
    """The file in chunks of that size."""
    return (file[at : at + size_bytes] for at in range(0, len(file), size_bytes))


def unpacked(
    chunks: Iterator[bytes], image_format: ImageFormat = ImageFormat.RAW_ZST, view_bytes: int = 65536
) -> bytes:
    """Everything, through views of that size."""
    decoder, view, out = Decoder(chunks, image_format, "unpacking"), memoryview(bytearray(view_bytes)), bytearray()
    while got := decoder.fill(view):
        out += view[:got]
    assert decoder.done_bytes == len(out)
    return bytes(out)


@pytest.mark.parametrize("chunk_bytes", [1, 4093, 10**7])
@pytest.mark.parametrize("view_bytes", [1 << 12, 65537, 10**7])
@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_boundaries_do_not_matter(image_format: ImageFormat, chunk_bytes: int, view_bytes: int) -> None:
    """However the file comes in pieces and in whatever pieces it is asked for, the bytes are the same."""
    file = PLAIN[:400_000] if image_format is ImageFormat.RAW else packed(PLAIN)

    expected = PLAIN[:400_000] if image_format is ImageFormat.RAW else PLAIN
    assert unpacked(cut(file, chunk_bytes), image_format, view_bytes) == expected


@pytest.mark.parametrize(
    "file",
    [
        packed(PLAIN, write_checksum=True),
        packed(PLAIN, write_content_size=False),
        packed(PLAIN, level=19),
        packed(PLAIN, threads=2),
        packed(NOISE) + packed(PLAIN[len(NOISE) :]),
        SKIPPABLE + packed(PLAIN) + SKIPPABLE,
        packed(b"") + packed(PLAIN) + packed(b""),
        zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
        ).compress(PLAIN),
    ],
)
def test_kinds_of_zstd(file: bytes) -> None:
    """Checksums, unknown size, levels, threads, several frames, skippable ones, a long window: all are read."""
    assert unpacked(cut(file, 10_000)) == PLAIN


@given(st.lists(st.binary(max_size=3000).map(lambda data: data * 50), max_size=5), st.integers(1, 5000))
def test_round_trip(parts: list[bytes], chunk_bytes: int) -> None:
    """Any frames after another unpack to their contents after another."""
    assert unpacked(cut(b"".join(map(packed, parts)), chunk_bytes)) == b"".join(parts)


SMALL = packed(NOISE[:2000] + bytes(300_000), write_checksum=True)


@pytest.mark.parametrize("length", range(1, len(SMALL), 37))
def test_every_cut_is_noticed(length: int) -> None:
    """A file that ends anywhere within a frame is truncated, though each byte that came was right."""
    with pytest.raises(ImageTruncated, match="in the middle of a zstd frame"):
        unpacked(cut(SMALL[:length], 1000))


def test_cut_between_blocks_and_before_the_checksum() -> None:
    """So is one that ends between two blocks, or lacks nothing but its checksum."""
    for file in (SMALL[:-4], packed(NOISE)[: -(len(NOISE) % BLOCK_BYTES) - 3], SKIPPABLE[:-1]):
        with pytest.raises(ImageTruncated):
            unpacked(cut(file, 1000))


@pytest.mark.parametrize("file", [b"no zstd at all", packed(PLAIN) + b"and more", b"\x1f\x8b\x08\x00" * 9])
def test_what_is_no_zstd(file: bytes) -> None:
    """Other bytes, also behind the last frame, are an error and never image."""
    with pytest.raises(ImageError, match="not intact zstd"):
        unpacked(cut(file, 1000))


@given(st.integers(4, len(SMALL) - 1), st.integers(1, 255))
def test_damage_is_an_error_of_ours(place: int, change: int) -> None:
    """A changed byte in a frame with a checksum gives an error of ours, or changes nothing."""
    damaged = bytearray(SMALL)
    damaged[place] ^= change
    with contextlib.suppress(ImageError):
        assert unpacked(cut(bytes(damaged), 1000)) == NOISE[:2000] + bytes(300_000)


def test_the_digest_has_the_first_word() -> None:
    """Where the file is damaged and its digest is wrong, too, it is the digest that is told."""

    def chunks() -> Iterator[bytes]:
        yield b"damaged"
        raise DigestMismatch("unpacking", "sha256")

    with pytest.raises(DigestMismatch):
        unpacked(chunks())


def test_window_that_is_too_large() -> None:
    """A frame that wants more memory than is granted is refused with the size it wants."""
    huge = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(ImageError, match=f"window of {2**31} bytes"):
        unpacked(cut(huge, 100))


def test_memory_is_bounded() -> None:
    """A few kilobytes that unpack to gigabytes are unpacked a few blocks at a time."""
    bomb = packed(bytes(64 * 1024 * 1024)) * 20
    decoder, view = Decoder(iter([bomb]), ImageFormat.RAW_ZST, "unpacking"), memoryview(bytearray(1 << 20))
    tracemalloc.start()
    while decoder.fill(view):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert decoder.done_bytes == 20 * 64 * 1024 * 1024
    assert peak < 16 * 1024 * 1024
