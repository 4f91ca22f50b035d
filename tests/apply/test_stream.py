# SPDX-License-Identifier: Apache-2.0
"""Writing images that are read as a stream: every format, digests, sizes, the order on the disk, reading back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from agent.apply.image import write_image
from agent.apply.resume import PLACE_BYTES
from agent.errors import (
    DigestMismatch,
    ImageError,
    ImageOverrun,
    ImageTooLarge,
    ImageTruncated,
    NotAsObserved,
    Recalled,
)
from agent.host.fake import FakeDisk, FakeHost, FaultPlan, Page
from agent.model.image import ImageFormat
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, serve
from tests.apply.packed import PACKED, STREAMS
from tests.apply.writing import HEAD, head_of, must_be_unverified, must_hold, step_of, write

DISK = 32 * MIB
IMAGE = gpt_image()
MIRROR = "http://mirror.example/image"
FORMATS = pytest.mark.parametrize("image_format", STREAMS)


@pytest.mark.parametrize("verify", [False, True])
@FORMATS
def test_every_format(image_format: ImageFormat, verify: bool) -> None:
    """On a disk that was full: every byte is the image's, holes included; and it is told what was done."""
    made = machine(DISK)
    disk_of(made).write(0, b"\xff" * DISK)
    image = serve(made, IMAGE, image_format)
    result = write(made, image, verify=verify)

    must_hold(made, IMAGE)
    assert result["image_bytes"] == len(IMAGE) and result["sha256"] == image.sha256
    assert result["reused_bytes"] == 0 and result.get("verified_bytes") == (len(IMAGE) - MIB if verify else None)
    assert isinstance(result["written_bytes"], int) and MIB < result["written_bytes"] < len(IMAGE) - MIB


@FORMATS
def test_sectors_of_4096(image_format: ImageFormat) -> None:
    """The same on a disk of larger sectors."""
    image = gpt_image(sector_bytes=4096)
    made = machine(DISK, sector_bytes=4096)
    write(made, serve(made, image, image_format))

    must_hold(made, image)


@FORMATS
def test_image_that_ends_anywhere(image_format: ImageFormat) -> None:
    """Within a grain, within a cluster: the last sector is filled with zeroes, and verified."""
    image = IMAGE + b"x" * 512 * 3
    made = machine(DISK)
    disk_of(made).write(0, b"\xff" * DISK)
    write(made, serve(made, image, image_format), verify=True)

    must_hold(made, image)


def test_image_that_ends_within_a_sector() -> None:
    """Raw images may do so."""
    made = machine(DISK)
    disk_of(made).write(0, b"\xff" * DISK)
    result = write(made, serve(made, IMAGE + b"x" * 100), verify=True)

    assert result["image_bytes"] == len(IMAGE) + 100
    assert disk_of(made).durable.read(len(IMAGE), 512) == b"x" * 100 + bytes(412)


@FORMATS
def test_sha512(image_format: ImageFormat) -> None:
    """Its digest may be the longer one: the right one passes and is told, a wrong one does not."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    right = hashlib.sha512(made.web[URL].body).hexdigest()
    with pytest.raises(DigestMismatch, match=right):
        write(made, image.model_copy(update={"sha256": None, "sha512": "0" * 128}))
    must_be_unverified(made)

    assert write(made, image.model_copy(update={"sha256": None, "sha512": right}))["sha512"] == right
    must_hold(made, IMAGE)


@FORMATS
def test_wrong_digest(image_format: ImageFormat) -> None:
    """An image with another digest is on no disk that boots."""
    made = machine(DISK)
    with pytest.raises(DigestMismatch, match="it should be 000000"):
        write(made, serve(made, IMAGE, image_format, sha256="0" * 64))

    must_be_unverified(made)


@FORMATS
def test_a_mirror_has_the_right_one(image_format: ImageFormat) -> None:
    """Where the first server's file is another one, a mirror's is taken."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format, mirrors=[MIRROR])
    right = made.web[URL].body
    serve(made, gpt_image(seed=9), image_format)
    made.web[URL].body = made.web[URL].body[: len(right)].ljust(len(right), b"\0")
    made.web[MIRROR] = Page(right)
    write(made, image)

    must_hold(made, IMAGE)


@pytest.mark.parametrize("wrong", [b"\xa5" * 600_000, b"QFI\xfb" + bytes(600_000), b"<html>no</html>"])
@FORMATS
def test_a_mirror_has_the_right_beginning(image_format: ImageFormat, wrong: bytes) -> None:
    """Where what the first server gives is no disk from its first bytes on, a mirror is asked, too."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format, mirrors=[MIRROR])
    right = made.web[URL].body
    made.web[URL].body = wrong + right[len(wrong) :]
    made.web[MIRROR] = Page(right)
    write(made, image)

    must_hold(made, IMAGE)


@pytest.mark.parametrize("image_format", PACKED)
def test_damage_is_told_by_the_digest(image_format: ImageFormat) -> None:
    """What cannot be unpacked is told as a wrong digest if it is that, and as damage if it was published so."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    body = bytearray(made.web[URL].body)
    body[len(body) // 2 :] = b"\xa5" * (len(body) - len(body) // 2)
    made.web[URL] = Page(bytes(body))
    with pytest.raises(DigestMismatch):
        write(made, image)
    with pytest.raises(ImageError) as told:
        write(made, image.model_copy(update={"sha256": hashlib.sha256(body).hexdigest()}))

    assert not isinstance(told.value, DigestMismatch)
    must_be_unverified(made)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"size_bytes": len(IMAGE) - 512}, ImageOverrun),
        ({"size_bytes": len(IMAGE) + 512}, ImageTruncated),
        ({"file_bytes": 1000}, ImageOverrun),
        ({"file_bytes": 10**9}, ImageTruncated),
    ],
)
@FORMATS
def test_wrong_size(image_format: ImageFormat, told: dict[str, Any], error: type[ImageError]) -> None:
    """A file or a disk that is shorter or longer than it was said to be is an error, whatever its digest."""
    made = machine(DISK)
    with pytest.raises(error):
        write(made, serve(made, IMAGE, image_format, **told))

    assert head_of(made) is None and not any(disk_of(made).durable.read(0, MIB))


@FORMATS
def test_too_large(image_format: ImageFormat) -> None:
    """An image that reaches past the limit is stopped there, also where nobody said how large it is."""
    made = machine(DISK)
    disk_of(made).write(24 * MIB, b"\xff" * 8 * MIB)
    with pytest.raises(ImageTooLarge):
        write(made, serve(made, gpt_image(25 * MIB), image_format, size_bytes=None), limit_bytes=24 * MIB)

    assert head_of(made) is None and disk_of(made).read(24 * MIB, 512) == b"\xff" * 512


@FORMATS
def test_the_order(image_format: ImageFormat) -> None:
    """Both ends are zero and on the medium before any data; the head is handed on when all the rest is there."""
    made, faults = machine(DISK), FaultPlan()
    write(made, serve(made, IMAGE, image_format), faults)
    calls = [call for call in faults.calls if call.startswith(("block.write", "block.zero", "block.flush"))]

    assert calls[:3] == [f"block.zero(0, {MIB})", f"block.zero({DISK - MIB}, {MIB})", "block.flush()"]
    last_flush = len(calls) - calls[::-1].index("block.flush()")
    assert {*calls[last_flush:]} <= {f"block.write({DISK - MIB + at})" for at in (0, PLACE_BYTES)}  # how far it is
    assert faults.calls[-1] == f"files.write({HEAD})"
    assert not any(call.startswith("block.write(0") for call in calls)


@dataclass
class FlippingDisk(FakeDisk):
    """Turns one bit of what is written over this byte."""

    at: int = 0

    def write(self, offset: int, data: bytes) -> None:
        """All but that."""
        if offset <= self.at < offset + len(data):
            changed = bytearray(data)
            changed[self.at - offset] ^= 1
            data = bytes(changed)
        super().write(offset, data)


@pytest.mark.parametrize("at", [MIB, MIB + 4999, len(IMAGE) - 2 * MIB, len(IMAGE) - 1])
@FORMATS
def test_reading_back(image_format: ImageFormat, at: int) -> None:
    """A bit that the disk turned is found when it is read back; the image is then not handed on."""
    made = machine(DISK)
    made.disks["/dev/sda"] = FlippingDisk(DISK, at=at)
    with pytest.raises(NotAsObserved, match="is not what was written there"):
        write(made, serve(made, IMAGE, image_format), verify=True)

    assert head_of(made) is None


@FORMATS
def test_reading_back_a_hole(image_format: ImageFormat) -> None:
    """So is a hole that the disk did not zero."""

    class LazyDisk(FakeDisk):
        def zero(self, offset: int, length: int) -> None:
            """The ends alone."""
            if offset in (0, DISK - MIB):
                super().zero(offset, length)

    made = machine(DISK)
    made.disks["/dev/sda"] = LazyDisk(DISK)
    disk_of(made).write(0, b"\xff" * DISK)
    with pytest.raises(NotAsObserved):
        write(made, serve(made, IMAGE, image_format), verify=True)

    assert head_of(made) is None


@FORMATS
def test_nobody_wants_it_any_more(image_format: ImageFormat) -> None:
    """Who is told of the progress may end it; nothing is handed on then."""
    made = machine(DISK)

    def refuse(*_: object) -> None:
        raise Recalled("writing", "not wanted")

    with pytest.raises(Recalled):
        write_image(FakeHost.of(made), step_of(made, serve(made, IMAGE, image_format)), refuse)

    assert head_of(made) is None
