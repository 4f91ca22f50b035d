# SPDX-License-Identifier: Apache-2.0
"""What a disk and its partitions are parts of: by the signatures on them, and by what the kernel has made of them."""

from __future__ import annotations

from typing import Literal

from agent.host.doors import Files
from agent.model.disk import Disk
from agent.model.fact import Unknown
from agent.model.hardware.disk import Membership

MULTIPATH = "mpath-"  # what multipath-tools begin a map's UUID with
BLOCK = "/sys/block"
Kind = Literal["raid", "multipath", "lvm", "zfs", "bcache", "ceph", "vmfs"]
SIGNATURES: dict[str, Kind] = {
    "linux_raid_member": "raid", "isw_raid_member": "raid", "ddf_raid_member": "raid", "LVM2_member": "lvm",
    "zfs_member": "zfs", "bcache": "bcache", "ceph_bluestore": "ceph", "VMFS_volume_member": "vmfs",
    "mpath_member": "multipath",
}  # fmt: skip


def memberships(files: Files, one: Disk) -> tuple[Membership, ...] | Unknown:
    """In the order of the disk's contents. Where those are unknown, so is this. Raises `HostError`."""
    paths = tuple(Membership(kind="multipath", node=one.path, of=name) for name in multipaths(files, one))
    if isinstance(one.contents, Unknown):
        return paths or one.contents
    signed = [
        Membership(kind=kind, node=found.node, of=holder(one, found.node, kind), uuid=found.uuid)
        for found in one.contents
        if (kind := SIGNATURES.get(found.kind))
    ]
    return (*paths, *(each for each in signed if not (each.kind == "multipath" and paths)))


def multipaths(files: Files, one: Disk) -> list[str]:
    """Maps of device-mapper that join the paths to this disk. Raises `HostError`."""
    found = []
    for above in one.holders:
        path = f"{BLOCK}/{above.name}/dm/uuid"
        if above.kind == "dm" and files.exists(path) and files.read_text(path).startswith(MULTIPATH):
            found.append(above.name)
    return found


def holder(one: Disk, node: str, kind: Kind) -> str | None:
    """What the kernel has put together from this very member."""
    name, made = node.removeprefix("/dev/"), "md" if kind == "raid" else "dm"
    return next((above.name for above in one.holders if name in above.on and above.kind == made), None)
