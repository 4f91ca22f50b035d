# SPDX-License-Identifier: Apache-2.0
"""Deploying to loop devices of the real kernel, from a server that misbehaves; judged by tools that are not ours."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from agent.errors import DigestMismatch, DiskInUse, ImageTruncated
from agent.model.image import ImageFormat, ImageRef
from agent.model.partition_table import fit
from agent.model.plan import Partition
from tests import hostile
from tests.apply.disks import MIB, gpt_image
from tests.apply.packed import digest_of, file_of
from tests.apply.real import cannot_boot, carry_out, partitions, process_of, write_of
from tests.hardware import DRIVE
from tests.hostile import Server, serving
from tests.loops import command, loop

DISK = 192 * MIB
DRIVE_AT = 127 * MIB
DRIVE_PARTITION = Partition(label="config-2", offset_bytes=DRIVE_AT, size_bytes=64 * MIB)
IMAGE = gpt_image(40 * MIB)
IN_SOCKETS_BYTES = 16 * MIB
"""As much may have been sent and not been read: net.ipv4.tcp_wmem and tcp_rmem have less."""

pytestmark = pytest.mark.root


@pytest.fixture
def server() -> Iterator[Server]:
    """With the image."""
    with serving(IMAGE) as running:
        yield running


@pytest.fixture
def used(tmp_path: Path) -> Iterator[str]:
    """A disk that is full of somebody's data."""
    (tmp_path / "disk").write_bytes(b"\xff" * DISK)
    with loop(tmp_path, DISK) as node:
        yield node


def reference(server: Server, image: bytes = IMAGE, image_format: ImageFormat = ImageFormat.RAW) -> ImageRef:
    """Serve the image, and say what it is."""
    server.body = file_of(image, image_format)
    return ImageRef(
        url=server.url,
        format=image_format,
        sha256=digest_of(server.body, image_format),
        file_bytes=len(server.body),
        size_bytes=len(image),
    )


def medium(tmp_path: Path) -> bytes:
    """What is behind the device."""
    os.sync()
    return (tmp_path / "disk").read_bytes()


@pytest.mark.parametrize("image_format", list(ImageFormat))
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_every_byte(server: Server, tmp_path: Path, sector_bytes: int, image_format: ImageFormat) -> None:
    """The medium holds the image byte for byte, its table fitted, and nothing of the old data where it would matter."""
    image = gpt_image(40 * MIB, sector_bytes)
    (tmp_path / "disk").write_bytes(b"\xff" * DISK)
    with loop(tmp_path, DISK, sector_bytes=sector_bytes) as node:
        carry_out(node, reference(server, image, image_format), tmp_path)
        seen = partitions(node)
        content = medium(tmp_path)
    fitted = fit(image[:MIB], DISK, sector_bytes, (DRIVE_PARTITION,))

    assert content[:MIB] == fitted.head
    assert content[MIB : len(image) + MIB] == image[MIB:] + bytes(MIB)
    assert content[DRIVE_AT - 2 * MIB : DRIVE_AT] == b"\xff" * MIB + bytes(MIB)
    assert content[-MIB:] == fitted.tail.rjust(MIB, b"\0")
    assert len(seen) == 2 and seen[1] == (DRIVE_AT, 64 * MIB)
    assert int.from_bytes(content[DRIVE_AT + 11 : DRIVE_AT + 13], "little") == sector_bytes


def test_judged_by_others(server: Server, tmp_path: Path, used: str) -> None:
    """sgdisk finds no fault with the table, sfdisk sees both partitions, and mtools reads the config drive."""
    carry_out(used, reference(server), tmp_path)
    table = json.loads(command("sfdisk", "--json", used))["partitiontable"]
    drive = f"{used}@@{DRIVE_AT}"

    assert "No problems found" in command("sgdisk", "--verify", used)
    assert command("sfdisk", "--verify", used).count("No errors detected.") == 1
    assert [(part["start"] * 512, part["size"] * 512, part["name"]) for part in table["partitions"]][1:] == [
        (DRIVE_AT, 64 * MIB, "config-2")
    ]
    for path, text in DRIVE.files.items():
        assert command("mtype", "-i", drive, f"::{path}") == text.get_secret_value()
    probed = command("blkid", "--probe", "--offset", str(DRIVE_AT), "--output", "export", used)
    assert "LABEL=config-2" in probed and "TYPE=vfat" in probed


def test_table_made_by_others(server: Server, tmp_path: Path, used: str) -> None:
    """An image partitioned by sfdisk, with partitions as clouds number them, keeps them and gets the drive."""
    with (tmp_path / "image").open("wb") as file:
        file.truncate(40 * MIB)
    layout = "label: gpt\n1: start=20480\n14: start=2048, size=8192, type=21686148-6449-6E6F-744E-656564454649\n"
    command("sfdisk", "--quiet", str(tmp_path / "image"), stdin=layout)
    before = json.loads(command("sfdisk", "--json", str(tmp_path / "image")))["partitiontable"]["partitions"]
    carry_out(used, reference(server, (tmp_path / "image").read_bytes(), ImageFormat.RAW_ZST), tmp_path)
    after = json.loads(command("sfdisk", "--json", used))["partitiontable"]["partitions"]

    assert "No problems found" in command("sgdisk", "--verify", used)
    assert {part["uuid"]: (part["start"], part["size"], part["type"]) for part in before}.items() <= {
        part["uuid"]: (part["start"], part["size"], part["type"]) for part in after
    }.items()
    assert [part["node"].removeprefix(used) for part in after] == ["p1", "p2", "p14"]


def test_mbr_made_by_others(server: Server, tmp_path: Path, used: str) -> None:
    """So does an image with an MBR."""
    with (tmp_path / "image").open("wb") as file:
        file.truncate(40 * MIB)
    command("sfdisk", "--quiet", str(tmp_path / "image"), stdin="label: dos\nstart=2048, bootable\n")
    carry_out(used, reference(server, (tmp_path / "image").read_bytes()), tmp_path)
    found = json.loads(command("sfdisk", "--json", used))["partitiontable"]["partitions"]

    assert [(part["start"] * 512, part["size"] * 512) for part in found] == [(MIB, 39 * MIB), (DRIVE_AT, 64 * MIB)]
    assert found[0]["bootable"] and "No errors" in command("sfdisk", "--verify", used)


def test_bad_link(server: Server, tmp_path: Path, used: str) -> None:
    """Whatever breaks on the way, the image is whole in the end, and no byte was fetched twice where ranges work."""
    image = reference(server)
    server.script = [
        hostile.status(503),
        hostile.cut_after(10 * MIB),
        hostile.reset_after(5 * MIB),
        hostile.status(502),
        hostile.without_ranges,
    ]
    carry_out(used, image, tmp_path)

    assert medium(tmp_path)[MIB : len(IMAGE)] == IMAGE[MIB:]
    assert server.asked[:2] == [None, None] and all(server.asked[2:])


def test_body_that_stays_cut(server: Server, tmp_path: Path, used: str) -> None:
    """A server that has no more than half of the file is given up, as truncated, and the disk cannot boot."""
    image = reference(server)
    server.script = [hostile.cut_after(20 * MIB), *[hostile.cut_after(0)] * 50]
    with pytest.raises(ImageTruncated):
        carry_out(used, image, tmp_path)

    assert cannot_boot(medium(tmp_path)) and not list(tmp_path.glob("*.head"))


def test_file_that_changed_under_way(server: Server, tmp_path: Path, used: str) -> None:
    """Two halves of two files are no image, even if nobody said that it changed: the digest does."""
    image = reference(server)

    def change(handler: hostile.Handler) -> None:
        server.body = random.Random(5).randbytes(len(IMAGE))
        hostile.good(handler)

    server.script = [hostile.cut_after(20 * MIB), change]
    with pytest.raises(DigestMismatch):
        carry_out(used, image, tmp_path)

    assert cannot_boot(medium(tmp_path)) and not list(tmp_path.glob("*.head"))


def test_mounted_disk(server: Server, tmp_path: Path) -> None:
    """A disk that somebody mounted since the plan was made is not written to."""
    point = tmp_path / "mounted"
    point.mkdir()
    with loop(tmp_path, DISK) as node:
        command("mkfs.ext4", "-q", node)
        os.sync()
        before = medium(tmp_path)[:MIB]
        command("mount", "-o", "ro", node, str(point))
        try:
            with pytest.raises(DiskInUse):
                carry_out(node, reference(server), tmp_path)
        finally:
            command("umount", str(point))

        assert medium(tmp_path)[:MIB] == before


@pytest.mark.parametrize("seed", range(6))
def test_killed(server: Server, tmp_path: Path, used: str, seed: int) -> None:
    """Killed at any byte of the image, the disk has no table beside new data; started again, it is complete."""
    image = reference(server)
    place = random.Random(seed).randrange(len(IMAGE))

    def kill(handler: hostile.Handler) -> None:
        handler.wfile.write(handler.begin_body()[:place])
        handler.wfile.flush()
        writer.send_signal(signal.SIGKILL)

    server.script = [kill]
    with process_of(write_of(used, image, tmp_path), tmp_path) as writer:
        assert writer.wait(timeout=60) == -signal.SIGKILL
    content = medium(tmp_path)
    before_data = place < IN_SOCKETS_BYTES and content[MIB:] == b"\xff" * (DISK - MIB)
    assert before_data or cannot_boot(content), f"killed at byte {place}"
    carry_out(used, image, tmp_path)

    assert medium(tmp_path)[MIB : len(IMAGE)] == IMAGE[MIB:]


def test_memory_and_time(server: Server, tmp_path: Path) -> None:
    """8 GiB, nearly all of it zero, cost next to no memory, no disk space, and seconds."""
    compressor = zstandard.ZstdCompressor()
    hole, data = compressor.compress(bytes(64 * MIB)), compressor.compress(random.Random(7).randbytes(MIB))
    server.body = compressor.compress(gpt_image()) + (hole + data) * 126
    image = ImageRef(
        url=server.url, format=ImageFormat.RAW_ZST, sha256=hashlib.sha256(server.body).hexdigest(), size_bytes=None
    )
    started = time.monotonic()
    with loop(tmp_path, 9 * 1024 * MIB) as node, process_of(write_of(node, image, tmp_path), tmp_path) as writer:
        grown = int(writer.communicate(timeout=300)[0])
        used_bytes = (tmp_path / "disk").stat().st_blocks * 512

    (head,) = tmp_path.glob("*.head")
    assert (head.stat().st_mode & 0o777, head.stat().st_size) == (0o600, MIB)
    assert grown < 100 * MIB
    assert 126 * MIB <= used_bytes < 200 * MIB
    assert time.monotonic() - started < 120
