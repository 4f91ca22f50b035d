# SPDX-License-Identifier: Apache-2.0
"""What boots, and what the kernel says of disks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from agent.diagnose.seen import Bootable, Booting, Complaint
from agent.errors import AgentError
from agent.host.doors import Files, Host, Run
from agent.inventory.disk import disks, root_disk
from agent.inventory.efi import firmware_boot
from agent.inventory.fact import attempt
from agent.inventory.hardware.disk import disks_in_full
from agent.model.disk import MIB, Content, Disk
from agent.model.esp import partitions
from agent.model.fact import Unknown, known
from agent.model.hardware.disk import DiskHealth

BLOCK = "/sys/block"
BOOT_CODE = slice(0, 440)  # of an MBR; behind it are the disk's number and the table
TABLES = ("gpt", "dos")
MOST_DISKS = 32
TOOL_S = 2.0
FAULT = re.compile(r"(?:I/O error, dev|critical \w+ error, dev|Buffer I/O error on dev) (?P<disk>[a-z0-9]+)\b.*")
"""block/blk-core.c, blk_print_req_error, and fs/buffer.c."""
PARTITION = re.compile(r"^(?P<disk>(?:sd|vd|hd|xvd)[a-z]+|(?:nvme\d+n\d+|mmcblk\d+)(?=p\d))p?\d*$")


def booting(host: Host) -> Booting:
    """The firmware's entries and the disks' beginnings. A disk that cannot be read has nothing that could be told."""
    firmware = firmware_boot(host)
    found = [one for one in disks(host)[:MOST_DISKS] if has_table(one)]
    offers = [attempt(partial(bootable, host, one)) for one in found]
    return Booting(
        firmware=firmware,
        disks=tuple(one for one in offers if not isinstance(one, Unknown)),
        root=known(attempt(lambda: root_disk(host))),
    )


def has_table(disk: Disk) -> bool:
    """Whether there may be something to boot on it."""
    contents: tuple[Content, ...] = () if isinstance(disk.contents, Unknown) else disk.contents
    return any(one.kind in TABLES for one in contents)


def bootable(host: Host, disk: Disk) -> Bootable:
    """By its first megabyte."""
    with host.block.open_read(disk.path) as device:
        head = device.read(0, min(MIB, device.size_bytes))
    return Bootable(disk.path, tuple(partitions(head, disk.logical_sector_bytes)), any(head[BOOT_CODE]))


def complaints(run: Run) -> tuple[Complaint, ...]:
    """Of the kernel's log, disk by disk."""
    return complained(run(["dmesg", "--level=emerg,alert,crit,err,warn"], timeout_s=TOOL_S).stdout)


def complained(text: str) -> tuple[Complaint, ...]:
    """A line each time that something could not be read or written. Floppies and loops are no disks of a server."""
    lines: dict[str, list[str]] = {}
    for line in text.splitlines():
        if (told := FAULT.search(line)) and not told["disk"].startswith(("fd", "loop", "sr", "zram")):
            node = PARTITION.match(told["disk"])
            lines.setdefault(node["disk"] if node else told["disk"], []).append(told[0])
    return tuple(Complaint(disk, len(said), said[-1]) for disk, said in sorted(lines.items()))


def health(host: Host, limit_s: float) -> Mapping[str, DiskHealth]:
    """What disks say of themselves, those that do, and in that time."""
    found = {disk.name: disk.health for disk in disks_in_full(host, limit_s)}
    return {name: fact for name, fact in found.items() if isinstance(fact, DiskHealth)}


def disk_states(files: Files) -> Mapping[str, str]:
    """What the kernel's drivers of SCSI and NVMe think of each of their disks: running, live, offline …"""
    states = {}
    for name in files.names(BLOCK):
        path = f"{BLOCK}/{name}/device/state"
        try:
            if files.exists(path):
                states[name] = files.read_text(path).strip()
        except AgentError:
            continue  # it went while we looked
    return states
