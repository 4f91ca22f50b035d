# SPDX-License-Identifier: Apache-2.0
"""Disks: what one is, what it holds, which one is meant.

A disk's kernel name (`sda`) is where it was found this time, never who it is: identity is WWN, serial and size.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.model.fact import Fact, Unknown, known
from agent.model.frozen import Frozen

MIB = 1024 * 1024
GB = 1000**3
NETWORKS = frozenset({"iscsi", "fc"})
OVER_FABRICS = "nvme-"
"""NVMe over TCP, RDMA, Fibre Channel; a drive of the machine's own is `nvme`."""


SHARED = {
    "gfs": "GFS",
    "gfs2": "GFS2",
    "ocfs2": "OCFS2",
    "vmfs": "VMFS",
    "vmfs_volume_member": "a part of a VMFS volume",
    "vmfs_partition": "a partition for VMFS",
    "gpfs_partition": "a partition for GPFS",
}
"""What several machines use at once, by the kind of a content in lower case."""


class Content(Frozen):
    """Something found on a disk: a partition table, a filesystem, a RAID or LVM member."""

    node: str = Field(description="device node that holds it, such as /dev/sda1")
    kind: str = Field(description="gpt, dos, ext4, xfs, linux_raid_member, LVM2_member …")
    label: str | None = None
    uuid: str | None = None


class DiskPartition(Frozen):
    """A partition as the kernel sees it."""

    name: str = Field(description="kernel name of this boot, such as sda1")
    offset_bytes: int
    size_bytes: int


class Holder(Frozen):
    """A device made of a disk or of a partition of it: a RAID array, a logical volume, an opened LUKS container. Or the
    kernel, which swaps to it.
    """

    name: str = Field(description="kernel name of this boot: md127, dm-0; of swap, swap-sda2")
    kind: Literal["md", "dm", "bcache", "swap"] | None = Field(
        default=None, description="whose it is; None: not known here"
    )
    label: str | None = Field(default=None, description="the name that people know a dm device by, such as vg-root")
    on: tuple[str, ...] = Field(default=(), description="kernel names of what it stands on, on whatever disks")

    def __str__(self) -> str:
        return f"{self.name} ({self.label})" if self.label else self.name

    @property
    def claims(self) -> tuple[str, ...]:
        """What `Disk.users` says because of it."""
        return tuple(self.claim(below) for below in self.on)

    def claim(self, below: str) -> str:
        """That it holds this, in words."""
        return f"/dev/{below} is swapped to" if self.kind == "swap" else f"/dev/{below} is held by {self}"


class Aliases(Frozen):
    """By what other names people may know a disk: all of them as udev has them, case and all."""

    serials: tuple[str, ...] = ()
    wwns: tuple[str, ...] = ()
    by_paths: tuple[str, ...] = ()


class Disk(Frozen):
    """A whole disk as observed."""

    name: str = Field(description="kernel name of this boot, such as sda")
    path: str = Field(description="device node, such as /dev/sda")
    size_bytes: int
    vendor: Fact[str] = None
    model: Fact[str] = None
    serial: Fact[str] = None
    wwn: Fact[str] = Field(default=None, description="lower case, with its prefix: 0x5000…, eui.…, nvme.…")
    wwn_with_extension: Fact[str] = Field(default=None, description="udev's ID_WWN_WITH_EXTENSION")
    wwn_vendor_extension: Fact[str] = Field(default=None, description="udev's ID_WWN_VENDOR_EXTENSION")
    also: Aliases = Aliases()
    device_number: Fact[str] = Field(default=None, description="of this boot, major:minor, such as 8:0")
    transport: Fact[str] = Field(default=None, description="sata, sas, nvme, nvme-tcp, virtio, usb, iscsi, fc …")
    rotational: Fact[bool] = None
    logical_sector_bytes: int = 512
    physical_sector_bytes: int = 512
    removable: bool = False
    read_only: bool = False
    by_path: Fact[str] = Field(default=None, description="/dev/disk/by-path/… link")
    hctl: Fact[str] = Field(default=None, description="SCSI host:channel:target:lun")
    firmware: Fact[str] = None
    contents: tuple[Content, ...] | Unknown = ()
    users: tuple[str, ...] = Field(default=(), description="mounts and holders that are in the way, as text")
    partitions: tuple[DiskPartition, ...] = ()
    holders: tuple[Holder, ...] = Field(default=(), description="each before those that it stands on itself")

    @property
    def is_remote(self) -> bool:
        """Whether it is on a network, and so perhaps another machine's as much as this one's."""
        word = known(self.transport) or ""
        return word in NETWORKS or word.startswith(OVER_FABRICS)

    @property
    def is_own(self) -> bool:
        """Part of this machine: neither plugged in from outside nor on a network."""
        return not (self.removable or self.is_remote or known(self.transport) == "usb")

    @property
    def identity(self) -> DiskIdentity:
        """Who this disk is, to be pinned in a plan."""
        return DiskIdentity(
            path=self.path,
            wwn=known(self.wwn),
            serial=known(self.serial),
            size_bytes=self.size_bytes,
            logical_sector_bytes=self.logical_sector_bytes,
        )


class DiskIdentity(Frozen):
    """A disk pinned in a plan. Before anything is written, the disk at `path` must still be exactly this one."""

    path: str
    wwn: str | None
    serial: str | None
    size_bytes: int
    logical_sector_bytes: int
    array_uuid: str | None = Field(default=None, description="of a RAID array, which has neither WWN nor serial")

    def __str__(self) -> str:
        names = [f"WWN {self.wwn}" if self.wwn else "", f"serial {self.serial}" if self.serial else "",
                 f"array {self.array_uuid}" if self.array_uuid else ""]  # fmt: skip
        who = ", ".join(name for name in names if name) or "no WWN, no serial"
        return f"{self.path} ({who}, {self.size_bytes / GB:.1f} GB)"

    def grown(self, by_bytes: int) -> DiskIdentity:
        """The same when it shows so much more."""
        return self.model_copy(update={"size_bytes": self.size_bytes + by_bytes})

    def has_grown_from(self, before: DiskIdentity) -> bool:
        """Whether it is that disk, which may have hidden a part of itself before."""
        names = self.wwn, self.serial, self.array_uuid
        is_same = any(names) and names == (before.wwn, before.serial, before.array_uuid)
        return self.bearer == before.bearer or (is_same and self.size_bytes >= before.size_bytes)

    @property
    def bearer(self) -> tuple[str | None, str | None, str | None, int]:
        """Who it is under whatever name: a kernel's names are of one boot."""
        return self.wwn, self.serial, self.array_uuid, self.size_bytes

    def may_be(self, other: DiskIdentity) -> bool:
        """Whether both are one disk, as it was listed twice within one boot. What is unknown of one of them (a drive at
        work has no size for a while) tells nothing apart; without any name it is where it was, and as large.
        """
        if self.size_bytes and other.size_bytes and self.size_bytes != other.size_bytes:
            return False
        names = ((self.wwn, other.wwn), (self.serial, other.serial))
        if not any(one for pair in names for one in pair):
            return (self.path, self.size_bytes) == (other.path, other.size_bytes)
        both = [pair for pair in names if all(pair)]
        return bool(both) and all(one == another for one, another in both)


class RootDeviceHints(Frozen):
    """What the disk that is meant looks like; every hint that is given must match.

    Text matches whole and without regard to case. The kernel name is no hint on purpose: it changes between boots.
    """

    serial: str | None = None
    wwn: str | None = None
    vendor: str | None = None
    model: str | None = None
    by_path: str | None = None
    hctl: str | None = None
    transport: str | None = None
    rotational: bool | None = None
    size_gb: str | None = Field(
        default=None,
        pattern=r"^(==|>=|<=|>|<)? ?[0-9]+$",
        description="in GB of 10^9 bytes, rounded down: '480', '>= 400', '< 1000'",
    )


TableKind = Literal["gpt", "dos"]
