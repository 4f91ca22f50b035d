# SPDX-License-Identifier: Apache-2.0
"""Rules about disks: those that fail, those that are not there, and those that bear another one's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agent.diagnose.seen import Seen, items
from agent.model.disk import Content, Disk
from agent.model.fact import Unknown, known
from agent.model.finding import Finding, Severity

GOOD_STATES = ("running", "live", "created", "new", "connecting", "resetting")
"""linux/drivers/scsi/scsi_sysfs.c, sdev_states; nvme/host/sysfs.c, nvme_sysfs_show_state. Some are on their way."""
OF_SEVERAL = ("_member", "btrfs", "bcache", "ceph_bluestore", "crypto_LUKS", "swap")
"""What has one UUID on several disks, or whose UUID nobody mounts by."""
TABLES = ("gpt", "dos")


def failing(seen: Seen) -> Iterator[Finding]:
    """The kernel could not read or write it."""
    for one in items(seen.complaints):
        yield Finding(
            severity=Severity.ERROR,
            code="DISK.FAILING",
            what=f"the disk {one.disk} fails (errors in this boot: {one.count})",
            why=one.last,
            to_do="Save what is on it, and replace it; look at its cable and backplane, if several fail at once.",
        )


def unwell(seen: Seen) -> Iterator[Finding]:
    """What it says of itself: SMART, or NVMe's health log."""
    if isinstance(seen.health, Unknown):
        return
    for name, health in seen.health.items():
        if health.passed is False or health.warnings:
            yield Finding(
                severity=Severity.ERROR if health.passed is False else Severity.WARNING,
                code="DISK.UNWELL",
                what=f"the disk {name} {'says that it fails' if health.passed is False else 'is not well'}",
                why="; ".join(health.warnings) or "its own verdict is: failed",
                to_do="Save what is on it, and replace it; bms-agent inventory shows all that it tells.",
            )


def offline(seen: Seen) -> Iterator[Finding]:
    """The kernel has given it up."""
    if not isinstance(seen.disk_states, Unknown):
        for name, state in seen.disk_states.items():
            if state not in GOOD_STATES:
                yield Finding(
                    severity=Severity.ERROR,
                    code="DISK.OFFLINE",
                    what=f"the disk {name} is {state}",
                    why=f"/sys/block/{name}/device/state",
                    to_do="See the kernel's log (dmesg) for when it went; reseat or replace it.",
                )


def no_disks(seen: Seen) -> Iterator[Finding]:
    """Nothing to write an image to."""
    if isinstance(seen.inventory, Unknown) or isinstance(seen.inventory.disks, Unknown):
        return
    if not seen.inventory.disks and seen.mode == "ramdisk":
        yield Finding(
            severity=Severity.ERROR,
            code="DISK.NONE",
            what="this machine has no disk",
            why="the kernel has no block device that is one",
            to_do="Check the storage controller in the firmware (a RAID mode?), and that this kernel has its driver.",
        )


def same_name_twice(seen: Seen) -> Iterator[Finding]:
    """Two filesystems of one UUID: which of them is mounted is chance. Two ways to one disk are one disk."""
    if isinstance(seen.inventory, Unknown) or isinstance(seen.inventory.disks, Unknown):
        return
    nodes: defaultdict[tuple[str, str], dict[object, str]] = defaultdict(dict)
    for disk in seen.inventory.disks:
        for content in () if isinstance(disk.contents, Unknown) else disk.contents:
            if content.uuid and not content.kind.endswith(OF_SEVERAL):
                nodes[kind(content), content.uuid][bearer(disk, content)] = content.node
    for (what, uuid), found in nodes.items():
        if len(found) > 1:
            yield Finding(
                severity=Severity.ERROR if what == "filesystem" else Severity.WARNING,
                code=f"DISK.DUPLICATE_{what.upper().replace(' ', '_')}",
                what=f"one {what} UUID is on {len(found)} disks or partitions",
                why=f"{uuid}: {', '.join(sorted(found.values()))}",
                to_do="One is a copy of the other: take one out, erase it, or give it a new UUID (tune2fs -U "
                "random …), before the system is started from the wrong one.",
            )


def kind(content: Content) -> str:
    """What bears the UUID."""
    return "partition table" if content.kind in TABLES else "filesystem"


def bearer(disk: Disk, content: Content) -> object:
    """Who it is under whatever name: the place on a disk of a WWN, else the node."""
    wwn = known(disk.wwn)
    return (wwn, content.node.removeprefix(disk.path)) if wwn else content.node


def array_degraded(seen: Seen) -> Iterator[Finding]:
    """An array without one of its disks works, until the next one goes."""
    if isinstance(seen.inventory, Unknown) or isinstance(seen.inventory.arrays, Unknown):
        return
    for array in seen.inventory.arrays:
        if array.faults:
            yield Finding(
                severity=Severity.WARNING,
                code="RAID.NOT_WHOLE",
                what=f"the array {array.name} ({array.level}) is not whole",
                why="; ".join(array.faults),
                to_do="Replace the disk that is missing, and add the new one: mdadm --add.",
            )
