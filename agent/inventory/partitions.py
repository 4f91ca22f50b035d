# SPDX-License-Identifier: Apache-2.0
"""What a written disk is known by afterwards: Ironic's `standby.get_partition_uuids`."""

from __future__ import annotations

from agent.host.doors import Host
from agent.model.disk import Disk
from agent.model.mbr import DISK_NUMBER

SECTOR_BYTES = 4096  # of any disk


def partition_uuids(host: Host, disk: Disk) -> dict[str, str]:
    """Of a whole-disk image, as IPA: the MBR's number, which chain loaders know the disk by; it is there, and zero,
    where the disk has a GPT or nothing at all. Raises `DeviceError`.
    """
    with host.block.open_read(disk.path) as device:
        head = device.read(0, min(SECTOR_BYTES, device.size_bytes))
    return {"root uuid": f"0x{int.from_bytes(head[DISK_NUMBER], 'little'):08x}"}
