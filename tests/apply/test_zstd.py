# SPDX-License-Identifier: Apache-2.0
"""What is zstd's own: kinds of frames, cuts between blocks, windows."""

from __future__ import annotations

import random

import pytest
import zstandard

from agent.errors import ImageError, ImageTruncated
from agent.model.image import ImageFormat
from tests.apply.feeds import unpacked

NOISE = random.Random(1).randbytes(300_000)
PLAIN = NOISE + bytes(5_000_000) + NOISE[:70_001]
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"ignored"
BLOCK_BYTES = 128 * 1024
ZST = ImageFormat.RAW_ZST


def packed(data: bytes, **parameters: object) -> bytes:
    """One frame."""
    return zstandard.ZstdCompressor(**parameters).compress(data)  # type: ignore[arg-type]


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
        b"".join(packed(PLAIN[at : at + 30_000]) for at in range(0, len(PLAIN), 30_000)),
        packed(PLAIN, compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)),
    ],
    ids=["checksum", "no size", "level 19", "threads", "two", "skippable", "empty ones", "many", "long window"],
)
def test_kinds(file: bytes) -> None:
    """All are read."""
    assert unpacked(file, ZST) == PLAIN


def test_cut_between_blocks_and_before_the_checksum() -> None:
    """A file that ends between two blocks, or lacks nothing but its checksum, is cut."""
    checked = packed(NOISE, write_checksum=True)
    for file in (checked[:-4], packed(NOISE)[: -(len(NOISE) % BLOCK_BYTES) - 3], SKIPPABLE[:-1], SKIPPABLE[:8]):
        with pytest.raises(ImageTruncated):
            unpacked(file, ZST, 1000)


def test_window_that_is_too_large() -> None:
    """A frame that wants more memory than is granted is refused with the size it wants."""
    huge = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(ImageError, match=f"window of {2**31} bytes"):
        unpacked(huge, ZST, 100)
