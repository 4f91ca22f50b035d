# SPDX-License-Identifier: Apache-2.0
"""Files that do not end, and say nothing of their length: they are given up, and nothing boots. So are those that would
have a decoder at work for ever without a byte for the disk.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import pytest
import zstandard

from agent.apply.decode.unpack import IDLE_BYTES, Fed, longest_file
from agent.apply.place import must_not_be_longer
from agent.errors import ImageError, ImageRefused, ImageTooLarge
from agent.host.doors import Host
from agent.host.fake import FakeHost
from agent.host.fetch import RealFetch
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import JobState
from tests import hostile
from tests.apply.deploying import DISK, IMAGE, deployed, full
from tests.apply.disks import MIB, boots, disk_of, machine, request
from tests.apply.feeds import decoder_of, drained, feed_of
from tests.hostile import serving

OK = b"HTTP/1.1 200 OK\r\n\r\n"
EMPTY_FRAME = struct.pack("<II", 0x184D2A50, 32_000) + bytes(32_000)
EMPTY_MEMBER = b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(0xFFFF) + b"\x03\0" + bytes(8)
SHA256 = "0" * 64

ENDLESS: dict[str, tuple[ImageFormat, Callable[[], tuple[bytes, bytes]], str]] = {
    "zstd frames to be skipped": (ImageFormat.RAW_ZST, lambda: (b"", EMPTY_FRAME), "IMAGE.REFUSED"),
    "gzip members without content": (ImageFormat.RAW_GZ, lambda: (b"", EMPTY_MEMBER), "IMAGE.REFUSED"),
    "xz padding": (ImageFormat.RAW_XZ, lambda: (lzma.compress(b"x", preset=0), bytes(64)), "IMAGE.REFUSED"),
    "zeroes behind zstd": (ImageFormat.RAW_ZST, lambda: (zstandard.compress(IMAGE), bytes(64)), "IMAGE."),
    "a raw disk longer than was said": (ImageFormat.RAW, lambda: (IMAGE, bytes(64)), "IMAGE.OVERRUN"),
}


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_no_end(name: str) -> None:
    """It is the image's fault, once it is longer than any of that disk could be."""
    image_format, told, code = ENDLESS[name]
    made = machine(DISK)
    full(made)
    with serving(b"") as server:
        begin, rest = told()
        server.script = [hostile.verbatim(OK + begin, rest)] * 9
        size = len(IMAGE) if image_format is ImageFormat.RAW else None
        image = ImageRef(url=server.url, format=image_format, sha256=SHA256, size_bytes=size)
        real: Host = replace(FakeHost.of(made), fetch=RealFetch())
        assert isinstance(real, FakeHost)
        wanted = request(image, drive=None).model_copy(update={"overwrite": True})
        job, _ = deployed(real, wanted)

    assert job.state is JobState.FAILED and job.fault is not None and job.fault.code.startswith(code), job.fault
    assert disk_of(made).durable.read(0, 8) == b"precious" or not boots(disk_of(made))


def test_what_says_that_it_is_too_long() -> None:
    """A file of a length that no disk of that size can be packed to is refused by that length; others are not."""
    must_not_be_longer(None, DISK, "writing")
    must_not_be_longer(longest_file(DISK), DISK, "writing")
    with pytest.raises(ImageTooLarge, match="its file has more than"):
        must_not_be_longer(longest_file(DISK) + 1, DISK, "writing")


def test_what_cannot_be_packed_may_grow() -> None:
    """As much as it likes within a sixteenth, and by a manifest: `Fed` counts what came of it."""
    fed = Fed(feed_of(bytes(IDLE_BYTES + 17 * MIB), MIB), "unpacking")
    fed.out_bytes = 16 * MIB
    while fed.read():
        pass
    fed = Fed(feed_of(bytes(IDLE_BYTES + 17 * MIB + 1), MIB), "unpacking")
    fed.out_bytes = 16 * MIB
    with pytest.raises(ImageRefused, match="unpack to no more than"):
        while fed.read():
            pass


WINDOW = b"\x28\xb5\x2f\xfd" + bytes([0x00, (28 - 10) << 3]) + b"\x01\x00\x00"
MEMORY: dict[ImageFormat, Callable[[], bytes]] = {
    ImageFormat.RAW_XZ: lambda: with_dictionary(lzma.compress(b"x" * 1000, preset=0)),
    ImageFormat.RAW_ZST: lambda: WINDOW,
}


def with_dictionary(file: bytes) -> bytes:
    """An xz file that asks for a dictionary of 1 GiB (The .xz File Format 1.2.1, section 5.3.1)."""
    changed = bytearray(file)
    at = changed.index(b"\x21\x01", 12) + 2
    changed[at] = 36
    end = 12 + (changed[12] + 1) * 4
    struct.pack_into("<I", changed, end - 4, crc32(changed[12 : end - 4]))
    return bytes(changed)


@pytest.mark.parametrize("image_format", sorted(MEMORY))
def test_what_asks_for_memory(image_format: ImageFormat) -> None:
    """It is told what to pack it by: it is not damaged."""
    with pytest.raises(ImageRefused, match=r"too large|bytes of memory") as caught:
        drained(decoder_of(feed_of(MEMORY[image_format](), 1000), image_format))
    assert "Pack it" in caught.value.hint and isinstance(caught.value, ImageError)
