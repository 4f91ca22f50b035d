# SPDX-License-Identifier: Apache-2.0
"""What a written disk is known by afterwards: Ironic's `standby.get_partition_uuids`; and what its table holds."""

from __future__ import annotations

from typing import Any

from agent.errors import DecodeError
from agent.host.doors import BlockDevice, Host
from agent.inventory.efi import system_partitions
from agent.model import config_drive, gpt
from agent.model.disk import MIB, Disk
from agent.model.filesystem.names import HEAD_BYTES, names_of
from agent.model.layout import EPHEMERAL, ESP, ROOT, SWAP
from agent.model.mbr import DISK_NUMBER
from agent.model.partition_table import partitions, partitions_in_backup

SECTOR_BYTES = 4096  # of any disk
IPA_NAMES = {
    ESP: "efi system partition",
    EPHEMERAL: "ephemeral",
    SWAP: "swap",
    config_drive.LABEL: "configdrive",
    ROOT: "root",
}


def partition_uuids(host: Host, disk: Disk) -> dict[str, Any]:
    """Of a whole-disk image, as IPA: the MBR's number, which chain loaders know the disk by; it is there, and zero,
    where the disk has a GPT or nothing at all. Raises `DeviceError`.
    """
    with host.block.open_read(disk.path) as device:
        head = device.read(0, min(SECTOR_BYTES, device.size_bytes))
    return {"root uuid": f"0x{int.from_bytes(head[DISK_NUMBER], 'little'):08x}"}


def layout_uuids(host: Host, disk: Disk) -> dict[str, Any]:
    """Of a partition image, as IPA: what root's filesystem and the EFI system partition's are called, and the node of
    each partition. Nothing where the disk has no such layout. On an array the EFI system partition is empty, since the
    loader is in a mirror beside it (`MirrorLoader`): it has no name then, by which Ironic would have it looked for.
    Raises `DeviceError`.
    """
    nodes = {part.offset_bytes: f"/dev/{part.name}" for part in disk.partitions}
    with host.block.open_read(disk.path) as device:
        places = named_places(device)
        root = root_uuid(device, places[ROOT]) if ROOT in places else None
    esps = system_partitions(host, disk)
    if root is None or not esps:
        return {}
    known = {name: nodes[at] for label, name in IPA_NAMES.items() if (at := places.get(label, (0, 0))[0]) in nodes}
    esp = {"efi system partition uuid": esps[0].uuids[-1]} if esps[0].unreadable is None else {}
    return {"root uuid": root, **esp, "partitions": known}


def named_places(device: BlockDevice) -> dict[str, tuple[int, int]]:
    """(offset, size) of the partitions of a GPT, by their names."""
    sector = device.logical_sector_bytes
    try:
        table = gpt.parse(device.read(0, min(MIB, device.size_bytes)), sector)
    except DecodeError:
        return {}
    return {one.name: (one.first_lba * sector, (one.last_lba - one.first_lba + 1) * sector) for one in table.entries}


def root_uuid(device: BlockDevice, place: tuple[int, int]) -> str | None:
    """Of the filesystem there."""
    offset, size = place
    try:
        return names_of(device.read(offset, min(HEAD_BYTES, size))).uuid
    except DecodeError:
        return None


def partitions_known(host: Host, disk: Disk) -> tuple[tuple[int, int], ...]:
    """(offset, size) of those that the disk's table has; of the copy at its end where its head is blank, as it is while
    a deploy is under way. Raises `DeviceError`.
    """
    with host.block.open_read(disk.path) as device:
        if device.size_bytes < 2 * MIB:
            return ()
        sector = device.logical_sector_bytes
        head, tail = device.read(0, MIB), device.read(device.size_bytes - MIB, MIB)
    found = partitions(head, sector) if any(head) else partitions_in_backup(tail, sector, disk.size_bytes)
    return tuple((offset, size) for _, offset, size in found)
