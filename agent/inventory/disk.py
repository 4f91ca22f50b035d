# SPDX-License-Identifier: Apache-2.0
"""Disks: sysfs for what they are, udev for who they are and what they hold, the kernel's tables for who uses them.

Not listed: what the kernel makes of other things (loop, ram, zram, dm, md, nbd), CD drives, floppies, paths of a
multipath NVMe disk, boot partitions of eMMC, and card readers without a card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agent.errors import DecodeError, HostError
from agent.host.disk_stack import BLOCK, disks_below, holders, partitions
from agent.host.doors import Files, Host
from agent.inventory.disk_names import (
    Properties,
    aliases,
    attached,
    by_path,
    hctl,
    model,
    said_under,
    serial,
    vendor,
    wwn,
)
from agent.inventory.disk_use import (
    SWAPPED,
    contents,
    properties,
    root_device,
    swapping,
    unnamed,
    users,
)
from agent.inventory.fact import attempt, content, first_asked, flag, of, text
from agent.model.disk import Disk, DiskIdentity, DiskPartition
from agent.model.fact import Unknown

SECTOR_BYTES = 512  # the unit of `size`, whatever the disk's sectors are (Documentation/ABI/stable/sysfs-block)
NO_DISK = re.compile(r"loop|ram|zram|dm-|md\d|bcache\d|drbd\d|zd\d|sr\d|nbd|fd\d|mmcblk\d+(boot|rpmb)")


def disks(host: Host) -> tuple[Disk, ...]:
    """Every disk, by name; one that is unplugged meanwhile is left out. Raises `HostError` where the answer could make
    a used disk look free.
    """
    udev, used = attempt(host.udev.block_devices), uses(host)
    looked = (seen(host.files, name, udev, used) for name in host.files.names(BLOCK))
    return tuple(each for each in looked if each is not None)


def seen(files: Files, name: str, udev: Mapping[str, Properties] | Unknown, uses: list[tuple[str, str]]) -> Disk | None:
    """An entry of /sys/block, if it is a disk and stays. Raises `HostError`."""
    try:
        return disk(files, name, udev, uses) if is_disk(files, name) else None
    except HostError:
        if files.exists(f"{BLOCK}/{name}"):
            raise
        return None


def uses(host: Host) -> list[tuple[str, str]]:
    """(node, what it is used for) of every mount and swap. Raises `HostError`."""
    mounts = [(host.files.resolve(node), place) for node, place in host.counters.mounts()]
    swaps = [host.files.resolve(node) for node in host.counters.swaps()]
    return [(node, f"mounted on {place}") for node, place in mounts] + [(node, SWAPPED) for node in swaps]


def root_disk(host: Host) -> DiskIdentity | None:
    """The disk that `/` is on; `None` if it is on no single disk (a ramdisk, a RAID). Raises `HostError`."""
    names = disks_below(host.files, root_device(host.files.read_text("/proc/self/mountinfo")))
    if len(names) != 1:
        return None
    udev = attempt(host.udev.block_devices)
    return disk(host.files, names.pop(), udev, []).identity


def is_disk(files: Files, name: str) -> bool:
    """Whether an entry of /sys/block is a disk that an image could be written to."""
    if NO_DISK.match(name) or is_set(files, f"{BLOCK}/{name}/hidden"):
        return False
    return not is_set(files, f"{BLOCK}/{name}/removable") or needed(files, f"{BLOCK}/{name}/size") > 0


def disk(files: Files, name: str, udev: Mapping[str, Properties] | Unknown, uses: list[tuple[str, str]]) -> Disk:
    """One disk. Raises `HostError` if sysfs does not even tell its size."""
    at = f"{BLOCK}/{name}"
    parts = partitions(files, name)
    above = holders(files, (name, *parts))
    told = properties(udev, name)
    held = contents(udev, [name, *parts], above)
    above = (*swapping((name, *parts), above, uses), *above)
    return Disk(
        name=name,
        path=f"/dev/{name}",
        size_bytes=needed(files, f"{at}/size") * SECTOR_BYTES,
        vendor=vendor(files, at),
        model=model(files, at, told),
        serial=serial(files, at, told),
        wwn=wwn(files, at, told),
        wwn_with_extension=of(told, said_under("ID_WWN_WITH_EXTENSION")),
        wwn_vendor_extension=of(told, said_under("ID_WWN_VENDOR_EXTENSION")),
        also=aliases(told),
        device_number=text(files, f"{at}/dev"),
        transport=attempt(lambda: attached(files, at)),
        rotational=flag(files, f"{at}/queue/rotational"),
        logical_sector_bytes=needed(files, f"{at}/queue/logical_block_size"),
        physical_sector_bytes=needed(files, f"{at}/queue/physical_block_size"),
        removable=is_set(files, f"{at}/removable"),
        read_only=is_set(files, f"{at}/ro"),
        by_path=by_path(told),
        hctl=attempt(lambda: hctl(files.resolve(f"{at}/device"))),
        firmware=first_asked(lambda: text(files, f"{at}/device/firmware_rev"), lambda: text(files, f"{at}/device/rev")),
        contents=held,
        users=(*users((name, *parts), above, uses), *unnamed(files, (name, *parts), above, held)),
        partitions=tuple(extents(files, at, parts)),
        holders=above,
    )


def extents(files: Files, at: str, names: tuple[str, ...]) -> Iterator[DiskPartition]:
    """Where the partitions lie that a disk yet has: udev has the table of a disk that was written to read once more
    when it is closed (60-block.rules, `watch`), which takes them away for a moment. Raises `HostError`, `DecodeError`.
    """
    for name in names:
        try:
            start, size = (needed(files, f"{at}/{name}/{fact}") * SECTOR_BYTES for fact in ("start", "size"))
        except HostError as error:
            if not error.is_gone:
                raise
        else:
            yield DiskPartition(name=name, offset_bytes=start, size_bytes=size)


def is_set(files: Files, path: str) -> bool:
    """A flag that kernels without it would have at 0. Raises `HostError`, `DecodeError`."""
    line = content(files, path)
    return line is not None and whole(path, line) != 0


def needed(files: Files, path: str) -> int:
    """A number without which a disk cannot be judged. Raises `HostError`, `DecodeError`."""
    return whole(path, files.read_text(path))


def whole(path: str, text: str) -> int:
    """A number that is not negative. Raises `DecodeError`."""
    line = text.strip()
    if not line.isdecimal():
        raise DecodeError(f"reading {path}", f"{line!r} is no number")
    return int(line)
