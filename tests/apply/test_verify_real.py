# SPDX-License-Identifier: Apache-2.0
"""A disk compared with the image that was deployed to it, of any format; packing a disk that is in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.apply.chunked.pack import Options
from agent.apply.chunked.put import Destination
from agent.apply.convert import Given, Pack
from agent.apply.verify import EQUAL, FITTED, compare_chunked, compare_stream
from agent.cli import look, source
from agent.errors import DiskInUse, ImageTooLarge, NotAsObserved
from agent.host.doors import Host
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import Result
from tests.apply.disks import MIB, gpt_image
from tests.apply.packed import digest_of, file_of
from tests.apply.real import carry_out, host
from tests.hostile import serving
from tests.loops import command, loop

DISK = 112 * MIB
IMAGE = gpt_image(24 * MIB)
FORMATS = (ImageFormat.CHUNKED, ImageFormat.RAW, ImageFormat.RAW_ZST, ImageFormat.QCOW2)

pytestmark = pytest.mark.root


def compared(machine: Host, image: ImageRef, node: str) -> Result:
    """As `image verify WHERE DISK` does."""
    if image.format is ImageFormat.CHUNKED:
        return compare_chunked(machine, image, node, (), lambda *_: None)
    return compare_stream(machine, image, node, lambda *_: None)


@pytest.mark.parametrize("image_format", FORMATS)
def test_deployed_disk_is_the_image(tmp_path: Path, image_format: ImageFormat) -> None:
    """With its table fitted and a config drive added; until one byte is changed, in data, in a hole, in the head."""
    file = file_of(IMAGE, image_format)
    with serving(file) as server, loop(tmp_path, DISK) as node:
        image = ImageRef(url=server.url, format=image_format, sha256=digest_of(file, image_format))
        carry_out(node, image, tmp_path)
        assert compared(host(), image, node)["head"] == FITTED
        for place in (MIB + 100, 12 * MIB + 7, 300, 520, 24 * MIB - 1):
            was = changed(node, place, lambda byte: byte ^ 1)
            with pytest.raises(NotAsObserved, match="differ"):
                compared(host(), image, node)
            changed(node, place, lambda _, was=was: was)  # type: ignore[misc]
        assert compared(host(), image, node)["head"] == FITTED


def changed(node: str, place: int, to: Callable[[int], int]) -> int:
    """One byte of the disk; what it was."""
    with Path(node).open("r+b") as disk:
        disk.seek(place)
        was = disk.read(1)[0]
        disk.seek(place)
        disk.write(bytes([to(was)]))
        disk.flush()
        os.fsync(disk.fileno())
    return was


def test_plain_copy_and_a_disk_too_small(tmp_path: Path) -> None:
    """A disk that is the image bit for bit is told so; a smaller one is refused."""
    file = file_of(IMAGE, ImageFormat.CHUNKED)
    (tmp_path / "disk").write_bytes(IMAGE)
    with serving(file) as server, loop(tmp_path, len(IMAGE)) as node:
        image = ImageRef(url=server.url, format=ImageFormat.CHUNKED, sha256=digest_of(file, ImageFormat.CHUNKED))
        assert compared(host(), image, node)["head"] == EQUAL
    for image_format in FORMATS:
        file = file_of(IMAGE, image_format)
        with serving(file) as server, loop(tmp_path, 16 * MIB) as node:
            image = ImageRef(url=server.url, format=image_format, sha256=digest_of(file, image_format))
            with pytest.raises((ImageTooLarge, NotAsObserved)):
                compared(host(), image, node)


def test_mounted_disk_is_not_packed(tmp_path: Path) -> None:
    """A disk that somebody may write to meanwhile makes no image; unmounted, it does."""
    point = tmp_path / "mounted"
    point.mkdir()
    packing = Destination(str(tmp_path / "out.bmi"), None, Options(), {})
    with loop(tmp_path, 16 * MIB) as node:
        command("mkfs.ext4", "-q", node)
        given = Given(host(), source.reference(node, (None, None, None), None, source.access(*[None] * 5)), None)
        command("mount", node, str(point))
        try:
            with pytest.raises(DiskInUse):
                Pack(given, packing, is_device=True).run(lambda *_: None)
        finally:
            command("umount", str(point))
        assert not Path(packing.path).exists()
        result = Pack(given, packing, is_device=True).run(lambda *_: None)
        image = source.reference(packing.path, (None, None, None), None, source.access(*[None] * 5))
        told = look.verified(host(), image, None, node, (), lambda *_: None)

    assert told["sha256"] == result["sha256"] and told["head"] == EQUAL
