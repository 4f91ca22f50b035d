# SPDX-License-Identifier: Apache-2.0
"""Partition images on loop devices of the real kernel, judged by tools that are not ours."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.apply.resume import LEAST_PART_BYTES, MAGIC, PLACE_BYTES, RECORD
from agent.errors import ImageRefused, ImageTooLarge, NothingToBoot, PartitionTableError, SectorSizeMismatch
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import Result
from agent.model.layout import Layout
from agent.model.plan import WriteImage
from agent.model.request import DeployRequest
from agent.operations import Operations
from tests import hostile
from tests.apply.disks import gpt_image
from tests.apply.real import cannot_boot, host, process_of
from tests.apply.rooted import (
    DISK_BYTES,
    DRIVE_AT,
    EPHEMERAL_AT,
    ESP_AT,
    ESP_MIB,
    LAYOUT,
    ROOT_AT,
    SWAP_AT,
    UUID,
    debian,
    ext4_of,
    planned,
    program,
    wanted,
    written,
)
from tests.hostile import Handler, Server, serving
from tests.loops import command, loop

pytestmark = pytest.mark.root

ESP_TYPE, LINUX, SWAP_TYPE, DATA = (
    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
)
GRUB_CFG = (
    f"search --no-floppy --fs-uuid --set=root {UUID}\nset prefix=($root){{}}/boot/grub\nconfigfile $prefix/grub.cfg\n"
)
PRECIOUS = b"the tenant's data"


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: the disk's own speed is of no interest here."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def reference(server: Server, image_format: ImageFormat = ImageFormat.RAW) -> ImageRef:
    """What Ironic says of an image: where, which format, which digest."""
    return ImageRef(url=server.url, format=image_format, sha256=hashlib.sha256(server.body).hexdigest())


def carried_out(node: str, folder: Path, request: DeployRequest, *, again: bool = False) -> Result:
    """Every step."""
    doer, result = Operations(host(), None, str(folder)), Result()
    for step in planned(node, folder, request, again=again).steps:
        result |= doer.do(step, lambda *_: None)
    os.sync()
    return result


def table_of(disk: Path) -> list[tuple[str, int, int, str]]:
    """Name, offset, size and type of each partition, as sfdisk sees them."""
    found = json.loads(command("sfdisk", "--json", str(disk)))["partitiontable"]
    sector = found["sectorsize"]
    return [(one["name"], one["start"] * sector, one["size"] * sector, one["type"]) for one in found["partitions"]]


def told(disk: Path, offset: int, size: int) -> dict[str, str]:
    """What blkid finds there."""
    lines = command("blkid", "--probe", "--offset", str(offset), "--size", str(size), "--output", "export", str(disk))
    return dict(line.partition("=")[::2] for line in lines.splitlines())


def on_esp(disk: Path, path: str) -> bytes:
    """A file of the EFI system partition, by mtools."""
    place = disk.with_name("out")
    command("mcopy", "-n", "-o", "-i", f"{disk}@@{ESP_AT}", f"::{path}", str(place))
    return place.read_bytes()


def test_a_disk_is_made_of_a_partition_image(folder: Path) -> None:
    """Sizes are IPA's where nothing else is said; types, labels and contents are as planned, and nothing is damaged."""
    content, disk = ext4_of(folder, debian()), folder / "disk"
    layout = Layout(root_mib=24, swap_mib=8, ephemeral_mib=16)
    with serving(content) as server, loop(folder, 672 * MIB) as node:
        carried_out(node, folder, wanted(reference(server), layout, verify=True))
        parts = table_of(disk)
        assert parts == [
            ("efi-part", MIB, 550 * MIB, ESP_TYPE),
            ("ephemeral0", 551 * MIB, 16 * MIB, LINUX),
            ("swap1", 567 * MIB, 8 * MIB, SWAP_TYPE),
            ("config-2", 575 * MIB, 64 * MIB, DATA),
            ("root", 639 * MIB, 24 * MIB, LINUX),
        ]
        found = {name: told(disk, offset, size) for name, offset, size, _ in parts}
        assert {name: (one["TYPE"], one.get("LABEL")) for name, one in found.items()} == {
            "efi-part": ("vfat", "efi-part"),
            "ephemeral0": ("ext4", "ephemeral0"),
            "swap1": ("swap", "swap1"),
            "config-2": ("vfat", "config-2"),
            "root": ("ext4", None),
        }
        assert found["root"]["UUID"] == UUID
        command("e2fsck", "-f", "-n", f"{disk}?offset={551 * MIB}")
        command("sfdisk", "--verify", str(disk))
        with disk.open("rb") as file:
            assert os.pread(file.fileno(), len(content), 639 * MIB) == content
        assert on_esp(disk, "/EFI/BOOT/BOOTX64.EFI") == program("shim")
        assert on_esp(disk, "/EFI/debian/grub.cfg").decode() == GRUB_CFG.format("")
    assert not list(folder.glob("*.head"))


def rooted_in(folder: Path, kind: str, *, torn: bool = False) -> bytes:
    """A root filesystem of another kind: XFS, perhaps with a journal to be replayed; btrfs, in a folder of its own."""
    image, place = folder / "image", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(320 * MIB)
    if kind == "btrfs":
        tree = written(folder, {f"/@{path}": content for path, content in debian().items()})
        command("mkfs.btrfs", "-q", "-U", UUID, "--rootdir", str(tree), str(image))
    else:
        command("mkfs.xfs", "-q", "-m", f"uuid={UUID}", str(image))
        place.mkdir()
        command("mount", "-o", "loop", str(image), str(place))
        command("cp", "-a", f"{written(folder, debian())}/.", str(place))
        command("sync", "-f", str(place))
        content = image.read_bytes()
        command("umount", str(place))
        if torn:
            image.write_bytes(content)
    content = image.read_bytes()
    image.unlink()
    return content


@pytest.mark.parametrize(("kind", "prefix"), [("xfs", ""), ("btrfs", "/@")])
def test_other_roots(folder: Path, kind: str, prefix: str) -> None:
    """The loader is found in XFS, and in a subvolume of btrfs; root stays byte for byte."""
    content, disk = rooted_in(folder, kind), folder / "disk"
    layout = LAYOUT.model_copy(update={"root_mib": 330, "swap_mib": 0, "ephemeral_mib": 0})
    with serving(content) as server, loop(folder, 400 * MIB) as node:
        carried_out(node, folder, wanted(reference(server), layout, drive=None))
        assert on_esp(disk, "/EFI/BOOT/grub.cfg").decode() == GRUB_CFG.format(prefix)
        with disk.open("rb") as file:
            assert os.pread(file.fileno(), len(content), (1 + ESP_MIB) * MIB) == content
    assert "bms-agent/root" not in Path("/proc/mounts").read_text()


def test_a_root_that_was_torn_from_its_machine(folder: Path) -> None:
    """What only a journal knows is not guessed, and the journal is not replayed: the disk does not boot."""
    content, disk = rooted_in(folder, "xfs", torn=True), folder / "disk"
    layout = LAYOUT.model_copy(update={"root_mib": 330})
    with serving(content) as server, loop(folder, 500 * MIB) as node:
        with pytest.raises(NothingToBoot, match="its xfs cannot be mounted: not cleanly unmounted"):
            carried_out(node, folder, wanted(reference(server), layout))
        assert cannot_boot(disk.read_bytes())
        with disk.open("rb") as file:
            assert os.pread(file.fileno(), len(content), ROOT_AT) == content


def test_sectors_of_4096_bytes(folder: Path) -> None:
    """The same on a disk of such sectors: the table and both vfat filesystems are made for it."""
    disk = folder / "disk"
    with serving(ext4_of(folder, debian())) as server, loop(folder, DISK_BYTES, sector_bytes=4096) as node:
        carried_out(node, folder, wanted(reference(server)))
        assert command("blkid", "--probe", "--output", "value", "--match-tag", "PTTYPE", node).strip() == "gpt"
        for at, size in ((ESP_AT, ESP_MIB), (DRIVE_AT, 64)):
            assert told(disk, at, size * MIB)["TYPE"] == "vfat"
            with disk.open("rb") as file:
                assert int.from_bytes(os.pread(file.fileno(), 2, at + 11), "little") == 4096
        assert told(disk, SWAP_AT, 8 * MIB)["TYPE"] == "swap"


@pytest.mark.parametrize("block_bytes", [1024, 4096])
def test_what_no_kernel_mounts_from_there_is_refused(folder: Path, block_bytes: int) -> None:
    """As a whole device of such sectors shows."""
    content = ext4_of(folder, debian(), block_bytes=block_bytes)
    (folder / "alone").write_bytes(content)
    (folder / "at").mkdir()
    with loop(folder, len(content), sector_bytes=4096, name="alone") as alone:
        argv = ["mount", "-t", "ext4", "-o", "ro", alone, str(folder / "at")]
        is_mounted = subprocess.run(argv, capture_output=True, check=False).returncode == 0
        if is_mounted:
            command("umount", str(folder / "at"))
    fine = nullcontext() if is_mounted else pytest.raises(SectorSizeMismatch)
    with serving(content) as server, loop(folder, DISK_BYTES, sector_bytes=4096) as node, fine:
        carried_out(node, folder, wanted(reference(server)))

    assert is_mounted is (block_bytes == 4096)


def test_what_does_not_fit(folder: Path) -> None:
    """An image larger than root, by its length, by QCOW2's header, or by its filesystem's own account, is refused
    before a byte of the disk is changed; so is one of a whole disk.
    """
    (folder / "disk").write_bytes(b"\xff" * DISK_BYTES)
    sparse = folder / "large.qcow2"
    command("qemu-img", "create", "-q", "-f", "qcow2", str(sparse), "20M")
    small = LAYOUT.model_copy(update={"root_mib": 16})
    whole = ext4_of(folder, debian())
    tries: list[tuple[bytes, ImageFormat, Layout, type[Exception]]] = [
        (whole, ImageFormat.RAW, small, ImageTooLarge),
        (whole[: 10 * MIB], ImageFormat.RAW, small, ImageTooLarge),
        (sparse.read_bytes(), ImageFormat.QCOW2, LAYOUT, ImageRefused),
        (qcow2_of(folder, whole + bytes(8 * MIB)), ImageFormat.QCOW2, LAYOUT, ImageTooLarge),
        (gpt_image(), ImageFormat.RAW, LAYOUT, ImageRefused),
    ]
    with loop(folder, DISK_BYTES) as node:
        for body, image_format, layout, error in tries:
            with serving(body) as server, pytest.raises(error):
                carried_out(node, folder, wanted(reference(server, image_format), layout))
        os.sync()
        assert (folder / "disk").read_bytes().count(b"\xff") == DISK_BYTES


def qcow2_of(folder: Path, content: bytes) -> bytes:
    """As QEMU makes it."""
    raw, made = folder / "raw", folder / "made.qcow2"
    raw.write_bytes(content)
    command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made))
    return made.read_bytes()


@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.QCOW2])
def test_killed_and_begun_again(folder: Path, image_format: ImageFormat) -> None:
    """Killed while root is written: the disk does not boot, less than half is fetched again, every byte is right."""
    content = ext4_of(folder, debian(**{"/data": random.Random(7).randbytes(80 * MIB)}), 128)
    body = content if image_format is ImageFormat.RAW else qcow2_of(folder, content)
    layout, disk = LAYOUT.model_copy(update={"root_mib": 128}), folder / "disk"
    with serving(body) as server, loop(folder, DISK_BYTES + 128 * MIB) as node:
        request = wanted(reference(server, image_format), layout)
        step = planned(node, folder, request).steps[0]
        assert isinstance(step, WriteImage)

        def kill(handler: Handler) -> None:
            """Tables come in small ranges; the data in one long answer."""
            if handler.part is not None and handler.part[1] - handler.part[0] < len(body) // 2:
                hostile.good(handler)
                return
            part = memoryview(handler.begin_body())[: int(0.9 * len(body))]
            for at in range(0, len(part), MIB):
                handler.wfile.write(part[at : at + MIB])
                keep_pace(disk, at)
            os.kill(process.pid, signal.SIGKILL)

        server.script = [kill] * 100
        with process_of(step, folder) as process:
            assert process.wait(timeout=120) == -signal.SIGKILL
        assert cannot_boot(disk.read_bytes()) and not list(folder.glob("*.head"))
        server.script = []
        result = carried_out(node, folder, request, again=True)
        with disk.open("rb") as file:
            assert os.pread(file.fileno(), len(content), ROOT_AT) == content

    assert int(result["fetched_bytes"]) < len(body) // 2
    assert on_esp_is_there(result)


def recorded_bytes(disk: Path) -> int:
    """How much of the image's file the writer has put down as being on the disk."""
    with disk.open("rb") as file:
        data = os.pread(file.fileno(), 2 * PLACE_BYTES, disk.stat().st_size - MIB)
    found = [RECORD.unpack_from(data, at) for at in (0, PLACE_BYTES)]
    return max(done if magic == MAGIC else 0 for magic, _, _, done, _ in found)


def keep_pace(disk: Path, sent_bytes: int) -> None:
    """Wait until what the sockets and the writer still hold is little, however busy the machine."""
    for _ in range(3000):
        if sent_bytes - recorded_bytes(disk) < 3 * LEAST_PART_BYTES:
            return
        time.sleep(0.01)


def on_esp_is_there(result: Result) -> bool:
    """The loader was installed after the death, too."""
    return result["loader"] == "shim and GRUB of Debian GNULinux" and result["partition_table"] == "gpt"


def test_preserve_ephemeral(folder: Path) -> None:
    """What a tenant keeps there is there after the next image, mounted and checked; killed and begun again as well; a
    disk without exactly that partition is refused, untouched.
    """
    disk, keep = folder / "disk", LAYOUT.model_copy(update={"preserve_ephemeral": True})
    images = [ext4_of(folder, debian(**{"/which": name})) for name in ("first", "second")]
    with serving(images[0]) as server, loop(folder, DISK_BYTES) as node:
        empty = wanted(reference(server), keep)
        with pytest.raises(PartitionTableError, match="partitions on the disk: none"):
            planned(node, folder, empty)
        carried_out(node, folder, wanted(reference(server)))
        with disk.open("r+b") as file:
            os.pwrite(file.fileno(), PRECIOUS, EPHEMERAL_AT + 8 * MIB)
            command("sync")
            before = os.pread(file.fileno(), 16 * MIB, EPHEMERAL_AT)
        command("blockdev", "--flushbufs", node)

        server.body = images[1]
        request = wanted(reference(server), keep, request_id="r2")
        died = planned(node, folder, request).steps[0]
        assert isinstance(died, WriteImage)
        pids: list[int] = []
        server.script = [struck(pids)]
        with process_of(died, folder) as process:
            pids.append(process.pid)
            assert process.wait(timeout=120) == -signal.SIGKILL
        assert not any(disk.read_bytes()[:MIB])
        server.script = []
        carried_out(node, folder, request, again=True)
        with disk.open("rb") as file:
            assert os.pread(file.fileno(), 16 * MIB, EPHEMERAL_AT) == before and PRECIOUS in before
            assert os.pread(file.fileno(), len(images[1]), ROOT_AT) == images[1]
        assert [name for name, *_ in table_of(disk)] == ["efi-part", "ephemeral0", "swap1", "config-2", "root"]


def struck(pids: list[int]) -> hostile.Answer:
    """Half of the body, and then the reader is no more."""

    def answer(handler: Handler) -> None:
        body = handler.begin_body()
        handler.wfile.write(memoryview(body)[: len(body) // 2])
        handler.server.over.wait(1)
        os.kill(pids[0], signal.SIGKILL)

    return answer
