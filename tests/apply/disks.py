# SPDX-License-Identifier: Apache-2.0
"""A fake machine with small disks, and small images that a kernel would find partitions in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from uuid import UUID

from agent.host.fake import FakeDisk, FakeHost, Machine, Page, Tree
from agent.host.fake.machine import Record
from agent.model import gpt, mbr
from agent.model.config_drive import ConfigDrive
from agent.model.image import ImageFormat, ImageRef
from agent.model.request import DeployRequest
from tests.apply.packed import digest_of, file_of
from tests.hardware import DRIVE, deploy

MIB = 1024 * 1024
URL = "http://images.example/image"
DISK_GUID = UUID("11111111-2222-3333-4444-555555555555")
LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def gpt_image(size_bytes: int = 6 * MIB, sector_bytes: int = 512, *, seed: int = 1) -> bytes:
    """A disk image: a GPT with one partition from 1 MiB on, data, a hole, data."""
    sectors = size_bytes // sector_bytes
    entry_sectors = 128 * 128 // sector_bytes
    last = sectors - 2 - entry_sectors
    root = gpt.Entry(0, LINUX, UUID(int=seed), MIB // sector_bytes, last, 0, "root")
    table = gpt.Gpt(sector_bytes, DISK_GUID, 2 + entry_sectors, last, sectors - 1, 2, 128, 128, (root,))
    array = gpt.array_of(table, bytes(128 * 128))
    noise = random.Random(seed)
    image = bytearray(size_bytes)
    image[:446] = noise.randbytes(446)
    mbr.RECORD.pack_into(image, 446, 0, b"\0\2\0", mbr.PROTECTIVE, b"\xff\xff\xff", 1, sectors - 1)
    image[510:512] = b"\x55\xaa"
    image[sector_bytes : 2 * sector_bytes] = gpt.header_of(table, array, backup=False)
    image[2 * sector_bytes : 2 * sector_bytes + len(array)] = array
    image[MIB : 2 * MIB + 5000] = noise.randbytes(MIB + 5000)
    image[size_bytes - 2 * MIB - 700 : size_bytes - MIB] = noise.randbytes(MIB + 700)
    image[-sector_bytes:] = gpt.header_of(table, array, backup=True)
    return bytes(image)


@dataclass
class ForgetfulDisk(FakeDisk):
    """Takes writes from `from_byte` on, and does not keep them."""

    from_byte: int = 0

    def write(self, offset: int, data: bytes) -> None:
        """Kept, or not."""
        if offset < self.from_byte:
            super().write(offset, data)


def machine(*sizes_bytes: int, sector_bytes: int = 512) -> Machine:
    """A machine with these disks: sda with serial S0, sdb with S1 …"""
    files: dict[str, str] = {"/proc/sys/kernel/random/boot_id": "boot-1\n", "/proc/cmdline": "quiet\n"}
    udev = {}
    for number, size in enumerate(sizes_bytes):
        name = f"sd{chr(ord('a') + number)}"
        facts = {"size": size // 512, "ro": 0, "removable": 0, "queue/rotational": 0,
                 "queue/logical_block_size": sector_bytes, "queue/physical_block_size": sector_bytes}  # fmt: skip
        files |= {f"/sys/block/{name}/{fact}": f"{value}\n" for fact, value in facts.items()}
        files[f"/sys/block/{name}/device/serial"] = f"S{number}\n"
        udev[name] = {"DEVTYPE": "disk", "USEC_INITIALIZED": "1"}
    return Machine.of(Tree.of(files), Record(origin="synthetic: small disks", udev=udev))


def disk_of(made: Machine, path: str = "/dev/sda") -> FakeDisk:
    """What is behind a node."""
    disk = made.disk(path)
    assert disk is not None
    return disk


def serve(made: Machine, image: bytes, image_format: ImageFormat = ImageFormat.RAW, **changes: object) -> ImageRef:
    """Put the image on the fake web; what the reference says can be changed, to be wrong."""
    body = file_of(image, image_format)
    made.web[URL] = Page(body)
    told = {"url": URL, "format": image_format, "sha256": digest_of(body, image_format), "file_bytes": len(body),
            "size_bytes": len(image)}  # fmt: skip
    return ImageRef.model_validate(told | changes)


def request(image: ImageRef, *, drive: ConfigDrive | None = DRIVE, serial: str = "S0") -> DeployRequest:
    """Deploy that image to the disk with that serial."""
    return deploy(image=image, drive=drive, serial=serial)


def boots(disk: FakeDisk) -> bool:
    """Whether firmware would find anything on the medium: boot code, a signature, a (protective) table. All of them are
    in its first sector: BIOS starts nothing without it, and UEFI believes no GPT without it (section 5.2.3; EDK II,
    PartitionDxe/Gpt.c).
    """
    return any(disk.durable.read(0, disk.logical_sector_bytes))


def host(made: Machine) -> FakeHost:
    """A process on it."""
    return FakeHost.of(made)
