# SPDX-License-Identifier: Apache-2.0
"""Made-up arrays on made-up disks, for the tests of pure code: what `raid.create` leaves on two disks, and more."""

from __future__ import annotations

from agent.model.disk import MIB, Content, Disk, DiskPartition, Holder
from agent.model.inventory import Inventory
from agent.model.raid import RunningArray
from agent.model.system import FirmwareMode, System
from tests.hardware import HDD, SSD, machine

GIB = 1024**3
TWIN = SSD.model_copy(update={"name": "sdb", "path": "/dev/sdb", "serial": "S2", "wwn": "0x5002538f00000002"})
OTHER = HDD.model_copy(update={"name": "sdc", "path": "/dev/sdc"})
UUIDS = {"esp": "00000000-0000-0000-0000-0000000000e5", "root": "00000000-0000-0000-0000-000000000001"}


def array(node: str, name: str, *members: str, size_bytes: int = 100 * GIB, level: str = "raid1") -> RunningArray:
    """One that is whole."""
    uuid = UUIDS.get(name, f"00000000-0000-0000-0000-{sum(name.encode()):012d}")
    return RunningArray(
        name=node,
        path=f"/dev/{node}",
        size_bytes=size_bytes,
        uuid=uuid,
        volume_name=name,
        level=level,
        members=members,
    )


def bearing(disk: Disk, *arrays: RunningArray) -> Disk:
    """The disk with the parts of these arrays, in the order of their numbers."""
    held = [(name, one) for one in arrays for name in one.members if name.startswith(disk.name)]
    parts = tuple(
        DiskPartition(name=name, offset_bytes=number * GIB, size_bytes=GIB)
        for number, (name, _) in enumerate(sorted(held, key=lambda one: one[0]), start=1)
    )
    contents = [
        Content(node=f"/dev/{name}", kind="linux_raid_member", label=f"host:{one.volume_name}", uuid=str(one.uuid))
        for name, one in held
    ]
    holders = tuple(Holder(name=one.name, kind="md", on=one.members) for _, one in held)
    return disk.model_copy(
        update={
            "partitions": parts,
            "contents": (Content(node=disk.path, kind="gpt"), *contents) if contents else (),
            "holders": holders,
            "users": tuple(one.claim(name) for one in holders for name in one.on if name.startswith(disk.name)),
        }
    )


ROOT = array("md0", "root", "sda2", "sdb2")
MIRROR = array("md1", "esp", "sda1", "sdb1", size_bytes=555 * MIB)
DATA = array("md2", "data", "sda3", "sdb3", size_bytes=300 * GIB, level="raid0")


def with_arrays(*arrays: RunningArray, disks: tuple[Disk, ...] = (SSD, TWIN), bios: bool = False) -> Inventory:
    """A machine whose disks bear these arrays, booted by UEFI."""
    mode = FirmwareMode.BIOS if bios else FirmwareMode.UEFI
    made = machine(*(bearing(disk, *arrays) for disk in disks))
    return made.model_copy(update={"system": System(firmware_mode=mode), "arrays": arrays})
