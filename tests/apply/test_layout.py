# SPDX-License-Identifier: Apache-2.0
"""Partition images as a whole on a fake machine, through the executor: what is there, each fault, refusals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest

from agent.errors import HostError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, failing
from agent.host.fake.disk import FakeDisk, SparseBytes
from agent.inventory.disk import disks
from agent.inventory.partitions import layout_uuids, partitions_known
from agent.model.filesystem.names import names_of
from agent.model.image import ImageFormat
from agent.model.job import JobState
from agent.model.layout import Layout
from agent.model.partition_table import partitions
from agent.model.request import DeployRequest
from tests.apply.deploying import deployed, outcome
from tests.apply.disks import MIB, boots, disk_of, gpt_image, serve
from tests.apply.rooted import (
    DISK_BYTES,
    DRIVE_AT,
    EPHEMERAL_AT,
    ESP_AT,
    ESP_MIB,
    LAYOUT,
    ROOT_AT,
    ROOT_MIB,
    SWAP_AT,
    UUID,
    fake_ext4,
    fake_machine,
    wanted,
)
from tests.efi import SmallFat

IMAGE = fake_ext4()
PLACES = {
    (1, ESP_AT, ESP_MIB * MIB),
    (2, EPHEMERAL_AT, 16 * MIB),
    (3, SWAP_AT, 8 * MIB),
    (4, DRIVE_AT, 64 * MIB),
    (5, ROOT_AT, ROOT_MIB * MIB),
}
KEEP = LAYOUT.model_copy(update={"preserve_ephemeral": True})
SMALL = Layout(esp_mib=32, root_mib=4, swap_mib=1, ephemeral_mib=1)
SMALL_BYTES, SMALL_EPHEMERAL_AT, SMALL_ROOT_AT = 40 * MIB, 33 * MIB, 35 * MIB
PRECIOUS = b"the tenant's data" * 100
LOOKING = ("files.exists", "files.read_text", "files.names", "files.resolve", "udev.", "counters.")
EFFECTS = (Effect.FAIL, Effect.DIE_AFTER)


def asked(made: Machine, layout: Layout = LAYOUT, image: bytes = IMAGE, **more: Any) -> DeployRequest:
    """For the first disk."""
    drive = {} if more.pop("with_drive", True) else {"drive": None}
    image_format = more.pop("image_format", ImageFormat.RAW)
    served = serve(made, image, image_format, **more)
    return wanted(served, layout, serial="S0", **drive)


def read(disk: FakeDisk, offset: int, length: int) -> bytes:
    """From the medium."""
    return disk.durable.read(offset, length)


@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.QCOW2, ImageFormat.RAW_ZST])
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_deploy(image_format: ImageFormat, sector_bytes: int) -> None:
    """Each partition has its place, root the image and nothing of what was there before; all is named."""
    made = fake_machine(sector_bytes=sector_bytes)
    disk = disk_of(made)
    disk.write(ROOT_AT + len(IMAGE), b"old".ljust(4096, b"\0"))
    job, _ = deployed(FakeHost.of(made), asked(made, image_format=image_format).model_copy(update={"verify": True}))

    assert job.state is JobState.SUCCEEDED, job.fault
    assert set(partitions(read(disk, 0, MIB), sector_bytes)) == PLACES
    assert read(disk, ROOT_AT, len(IMAGE)) == IMAGE and not any(read(disk, ROOT_AT + len(IMAGE), MIB))
    assert b"/EFI/BOOT/BOOTX64.EFI=MZ" in read(disk, ESP_AT, MIB)
    assert names_of(read(disk, SWAP_AT, MIB)).label == "swap1"
    assert names_of(read(disk, EPHEMERAL_AT, MIB)).label == "ephemeral0"
    assert b"vfat config-2" in read(disk, DRIVE_AT, MIB)
    assert job.result["root_uuid"] == UUID and job.result["loader"] == "shim and GRUB of Debian GNULinux"
    (mount,) = [argv for argv in made.commands if argv[0] == "mount"]
    assert {"ro", "nosuid", "nodev", "noexec", "loop"} < set(mount[mount.index("-o") + 1].split(","))


@pytest.mark.parametrize(("sector_bytes", "fault"), [(512, ""), (4096, "IMAGE.SECTOR_SIZE")])
def test_blocks_smaller_than_the_disk_s_sectors(sector_bytes: int, fault: str) -> None:
    """No kernel mounts them from there: refused before a byte of the disk is changed."""
    made = fake_machine(sector_bytes=sector_bytes)
    found = outcome(made, asked(made, image=fake_ext4(log_block=0)))

    assert found == ((JobState.FAILED, fault) if fault else (JobState.SUCCEEDED, ""))
    assert disk_of(made).content.blank is bool(fault)


def test_nothing_of_the_image_is_run() -> None:
    """Every command is one of the ramdisk's own tools, and none of them is given a path in the image to run."""
    made = fake_machine()
    deployed(FakeHost.of(made), asked(made))
    ours = {"mount", "umount", "mke2fs", "mkswap", "mkfs.vfat", "mmd", "mcopy", "udevadm", "wipefs"}

    assert {argv[0] for argv in made.commands} <= ours
    assert not any("chroot" in word for argv in made.commands for word in argv)


def test_what_the_disk_is_known_by() -> None:
    """Root's UUID, the EFI system partition's, and the nodes; nothing where there is no such layout."""
    made = fake_machine(DISK_BYTES, DISK_BYTES)
    host = FakeHost.of(made)
    deployed(host, asked(made))
    first, second = disks(host)
    disk = disk_of(made)
    emptied = layout_uuids(host, first)  # as on an array: its PARTUUID would be looked for among the mirror's
    assert emptied["root uuid"] == UUID and "efi system partition uuid" not in emptied
    disk.write(ESP_AT, SmallFat({"/EFI/BOOT/BOOTX64.EFI": b"MZ"}).image)  # one that can be read, for the fake mkfs's
    uuids = layout_uuids(host, first)

    assert uuids["root uuid"] == UUID and uuids["efi system partition uuid"] == "12AB-34CD"
    assert uuids["partitions"] == {
        "efi system partition": "/dev/sda1", "ephemeral": "/dev/sda2", "swap": "/dev/sda3", "configdrive": "/dev/sda4",
        "root": "/dev/sda5",
    }  # fmt: skip
    assert layout_uuids(host, second) == {}


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (gpt_image(), "IMAGE.REFUSED"),
        (bytes(2 * MIB), "IMAGE.REFUSED"),
        (b"hsqs".ljust(2 * MIB, b"x"), "IMAGE.REFUSED"),
        (fake_ext4()[: MIB // 2] + bytes(MIB // 2), ""),
        (fake_ext4(40 * MIB)[: 2 * MIB], "IMAGE.TOO_LARGE"),
        (fake_ext4() + bytes(ROOT_MIB * MIB), "IMAGE.TOO_LARGE"),
    ],
)
@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.QCOW2])
def test_images_that_are_none(image: bytes, code: str, image_format: ImageFormat) -> None:
    """A whole disk, nothing, what we cannot look into, or what has no room is refused before a byte is written."""
    made = fake_machine()
    disk = disk_of(made)
    disk.write(0, b"precious")
    disk.flush()
    ended = outcome(made, asked(made, image=image, size_bytes=None, image_format=image_format))

    assert ended == ((JobState.FAILED, code) if code else (JobState.SUCCEEDED, ""))
    assert (read(disk, 0, 8) == b"precious") == bool(code)


def test_no_loader() -> None:
    """An image without one, or that no kernel mounts, leaves a disk that does not boot, and says what to do."""
    bare, torn = fake_machine(files={"/etc/os-release": "ID=debian\n"}), fake_machine()
    torn.programs["mount"] = failing(32, "wrong fs type")
    for made, told in ((bare, "no shim or GRUB for UEFI on x86_64"), (torn, "its ext4 cannot be mounted")):
        job, _ = deployed(FakeHost.of(made), asked(made))
        assert job.fault is not None and job.fault.code == "BOOT.NOTHING"
        assert told in job.fault.message and "whole-disk image" in job.fault.hint
        assert not boots(disk_of(made))


def test_a_bios() -> None:
    """A machine that a BIOS booted is told so before anything is written, or fetched."""
    made = fake_machine()
    made.variables = None
    asking = asked(made)
    job, _ = deployed(FakeHost.of(made), asking)

    assert job.fault is not None and job.fault.code == "BOOT.NOTHING" and "boot_mode:uefi" in job.fault.hint
    assert disk_of(made).content.blank and made.web[asking.image.url].opened_at == []


def test_a_server_that_lies() -> None:
    """A wrong digest leaves a disk that does not boot, and nothing to go on with."""
    made = fake_machine()
    assert outcome(made, asked(made, sha256="ab" * 32)) == (JobState.FAILED, "IMAGE.DIGEST_MISMATCH")
    assert not boots(disk_of(made)) and not any(read(disk_of(made), DISK_BYTES - MIB, MIB))


def rebuilt(made: Machine) -> FakeDisk:
    """The disk, deployed, with a tenant's data in its ephemeral partition."""
    assert outcome(made, asked(made)) == (JobState.SUCCEEDED, "")
    disk = disk_of(made)
    examined = {"DEVTYPE": "partition", "USEC_INITIALIZED": "1"}
    made.record.udev.update({f"sda{number}": examined for number, *_ in PLACES})
    disk.write(EPHEMERAL_AT + 4096, PRECIOUS.ljust(4096, b"\0"))
    disk.flush()
    return disk


def test_preserve_ephemeral() -> None:
    """Another image, and every byte of the ephemeral partition stays; with another size it is refused, untouched."""
    made = fake_machine()
    disk = rebuilt(made)
    before = read(disk, EPHEMERAL_AT, 16 * MIB)
    other = fake_ext4(seed=2)
    larger = KEEP.model_copy(update={"ephemeral_mib": 17, "root_mib": 20})
    whole = read(disk, 0, DISK_BYTES)
    assert outcome(made, asked(made, larger, other).model_copy(update={"request_id": "r2"})) == (
        JobState.FAILED,
        "IMAGE.PARTITION_TABLE",
    )
    assert read(disk, 0, DISK_BYTES) == whole
    done = outcome(made, asked(made, KEEP, other).model_copy(update={"request_id": "r3"}))

    assert done == (JobState.SUCCEEDED, "")
    assert read(disk, EPHEMERAL_AT, 16 * MIB) == before
    assert read(disk, ROOT_AT, len(other)) == other


def calls(layout: Layout) -> list[str]:
    """The door calls of an undisturbed deploy."""
    made, faults = small(layout), FaultPlan()
    deployed(FakeHost.of(made, faults), small_request(made, layout))
    return faults.calls


@cache
def former() -> SparseBytes:
    """A disk that was deployed before."""
    made = fake_machine(SMALL_BYTES)
    deployed(FakeHost.of(made), small_request(made, SMALL).model_copy(update={"request_id": "r0"}))
    return disk_of(made).durable


def small(layout: Layout) -> Machine:
    """A machine whose disk has the partition that is to be preserved, with a tenant's data; or a stranger's disk."""
    made = fake_machine(SMALL_BYTES)
    disk = disk_of(made)
    if layout.preserve_ephemeral:
        disk.content, disk.durable = former().copy(), former().copy()
    disk.write(SMALL_EPHEMERAL_AT + 8192, PRECIOUS.ljust(4096, b"\0"))
    disk.flush()
    return made


def small_request(made: Machine, layout: Layout) -> DeployRequest:
    """Without a config drive, whose faults others try."""
    return asked(made, layout, with_drive=False)


def every_fault() -> Iterator[tuple[Layout, int, Effect]]:
    """From the first word with the disk on, wherever more is done than to look; with a preserved partition, deaths."""
    for layout, effects in ((SMALL, EFFECTS), (SMALL.model_copy(update={"preserve_ephemeral": True}), EFFECTS[1:])):
        made = calls(layout)
        first = next(number for number, call in enumerate(made, 1) if "opened_exclusively" in call)
        places = [at for at, call in enumerate(made, 1) if at >= first and not call.startswith(LOOKING)]
        yield from ((layout, *one) for one in product(places, effects))


@pytest.mark.parametrize(("layout", "at", "effect"), list(every_fault()))
def test_every_fault(layout: Layout, at: int, effect: Effect) -> None:
    """Failing or dying at any call, the power lost with it, then begun again: the disk boots only if it is whole, one
    final report is made, and what is preserved is there, every byte, and found again.
    """
    made = small(layout)
    request = small_request(made, layout)
    with contextlib.suppress(Died, HostError):
        deployed(FakeHost.of(made, FaultPlan(at=at, effect=effect)), request)
    disk = disk_of(made)
    if effect is not Effect.FAIL:
        disk.cut_power(lambda number: number % 2 == 0)
    must_be_whole_or_dead(disk)
    must_be_kept(disk, layout)
    job, outbox = deployed(FakeHost.of(made), request)
    finals = [one.report.state for one in outbox.pending() if one.report.state.final]

    assert finals == [job.state]
    assert effect is Effect.FAIL or job.state is JobState.SUCCEEDED, job.fault
    must_be_whole_or_dead(disk)
    must_be_kept(disk, layout)
    if layout.preserve_ephemeral:
        host = FakeHost.of(made)
        assert (SMALL_EPHEMERAL_AT, MIB) in partitions_known(host, disks(host)[0])


def must_be_whole_or_dead(disk: FakeDisk) -> None:
    """A disk with a head has all that belongs to it."""
    if not boots(disk):
        return
    assert len(partitions(read(disk, 0, MIB), 512)) == 4
    assert read(disk, SMALL_ROOT_AT, len(IMAGE)) == IMAGE
    assert b"/EFI/debian/shimx64.efi=MZ" in read(disk, ESP_AT, MIB)


def must_be_kept(disk: FakeDisk, layout: Layout) -> None:
    """As it was."""
    if layout.preserve_ephemeral:
        assert read(disk, SMALL_EPHEMERAL_AT + 8192, len(PRECIOUS)) == PRECIOUS
        assert names_of(read(disk, SMALL_EPHEMERAL_AT, MIB)).label == "ephemeral0"


def test_a_preserved_partition_without_a_copy_of_its_table() -> None:
    """Where the copy at the disk's end is missing, it is made before the head is touched."""
    layout = SMALL.model_copy(update={"preserve_ephemeral": True})
    made = small(layout)
    disk = disk_of(made)
    disk.zero(SMALL_BYTES - MIB, MIB)
    disk.flush()
    request = small_request(made, layout)
    first = next(number for number, call in enumerate(calls(layout), 1) if "opened_exclusively" in call)
    for at in range(first, first + 12):
        with contextlib.suppress(Died):
            deployed(FakeHost.of(made, FaultPlan(at=at, effect=Effect.DIE_AFTER)), request)
        disk.cut_power(lambda number: number % 2 == 0)
        host = FakeHost.of(made)
        assert (SMALL_EPHEMERAL_AT, MIB) in partitions_known(host, disks(host)[0])
    assert outcome(made, request) == (JobState.SUCCEEDED, "")
