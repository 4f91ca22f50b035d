# SPDX-License-Identifier: Apache-2.0
"""Disks that are more than a whole-disk image, by real Ironic: partition images, and software RAID as the root."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from lab import artifacts
from lab.machine import DiskSpec, MachineSpec
from tests.apply.rooted import debian, ext4_of
from tests.ironic.chain import Chain, running, step
from tests.ironic.image import DATA, MIB, Image, partitions

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

ROOT_GB, SWAP_MB = 1, 64
MEMBERS = tuple(
    DiskSpec(name=name, bus="scsi", size_gib=2, serial=f"MIRROR{name}", wwn=f"0x5000c500a1b2c3d{place}")
    for place, name in enumerate(("one", "two"))
)
MIRROR = {
    "logical_disks": [{"size_gb": "MAX", "raid_level": "1", "controller": "software", "is_root_volume": True}],
}


def places(disk: Path, content: bytes) -> int:
    """Where on the disk that begins; -1 if nowhere."""
    with disk.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(content)


def head(disk: Path) -> bytes:
    """Where a partition table would be."""
    with disk.open("rb") as file:
        return file.read(MIB)


def test_a_partition_image(ironic_home: Path, tmp_path: Path) -> None:
    """By the sizes of its instance: a table of ours, the image in the last partition, its signed loader in the first,
    and a boot entry; Ironic asks for the partitions' UUIDs between, and ends ACTIVE.
    """
    content, file = ext4_of(tmp_path, debian()), tmp_path / "root.raw"
    file.write_bytes(content)
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        chain = Chain(site, automated_clean=False)
        chain.available()
        chain.want(file, image_type="partition", root_gb=ROOT_GB, swap_mb=SWAP_MB)
        said = chain.said
        chain.go("active", "active")

        table = partitions(chain.disk)
        root = table[-1]
        assert root["size"] * 512 == ROOT_GB << 30
        assert any(part["size"] * 512 == SWAP_MB * MIB for part in table)
        with chain.disk.open("rb") as disk:
            disk.seek(root["start"] * 512 + len(content) - 64 * 1024)  # a superblock is changed by nobody, nor the end
            assert disk.read(64 * 1024) == content[-64 * 1024 :]
        assert 0 < places(chain.disk, b"grub\0/EFI/debian\0") < root["start"] * 512
        assert "get_partition_uuids" in chain.console(said)


def test_an_array_as_root(ironic_home: Path, tmp_path: Path) -> None:
    """Made by manual cleaning, spared by automated cleaning, deployed to, and deleted: every member has the image until
    then, and Ironic's record of the array is right at each turn.
    """
    image = Image(tmp_path, artifacts.ramdisk() / "vmlinuz")
    offset = min(DATA)
    with image.raw.open("rb") as raw:
        raw.seek(offset)
        data = raw.read(4096)
    with running(ironic_home, tmp_path, MachineSpec(disks=MEMBERS)) as site:
        chain = Chain(site, raid_interface="agent")
        members = [site.machine.disk(disk.name) for disk in MEMBERS]
        chain.go("manage", "manageable")
        chain.api.ask("PUT", f"/v1/nodes/{chain.node}/states/raid", MIRROR)
        chain.go("clean", "manageable", clean_steps=[step("create_configuration", "raid")])
        (made,) = chain.api.node(chain.node)["raid_config"]["logical_disks"]
        assert (made["raid_level"], made["controller"]) == ("1", "software")
        chain.go("provide", "available")

        chain.want(image.file, root_device={})
        chain.go("active", "active")
        assert all(places(disk, data) > 0 for disk in members)

        chain.go("deleted", "available")
        assert chain.api.node(chain.node)["raid_config"]["logical_disks"]
        chain.go("manage", "manageable")
        chain.go("clean", "manageable", clean_steps=[step("delete_configuration", "raid")])
        assert not chain.api.node(chain.node)["raid_config"]
        assert not any(head(disk).strip(b"\0") for disk in members)
