# SPDX-License-Identifier: Apache-2.0
"""What a disk is divided into, and what is made of it: partitions, RAID arrays, logical volumes, opened containers.

Read from sysfs alone. An array may itself have partitions, and a volume may stand on it: each of them is listed, and
each before those that it stands on, which is the order in which they can be taken down.
"""

from __future__ import annotations

from typing import Literal

from agent.host.doors import Files
from agent.model.disk import Holder

BLOCK = "/sys/block"


def partitions(files: Files, name: str) -> tuple[str, ...]:
    """Kernel names of a disk's partitions, or of an array's."""
    below = files.names(f"{BLOCK}/{name}")
    return tuple(each for each in below if each.startswith(name) and files.exists(f"{BLOCK}/{name}/{each}/partition"))


def holders(files: Files, names: tuple[str, ...]) -> tuple[Holder, ...]:
    """Everything that stands on a disk: `names` are its own and its partitions'."""
    disk = names[0]
    found: dict[str, Holder] = {}
    for name in names:
        place = f"{BLOCK}/{disk}" if name == disk else f"{BLOCK}/{disk}/{name}"
        for above in files.names(f"{place}/holders"):
            for one in (*holders(files, (above, *partitions(files, above))), holder(files, above, name)):
                found.setdefault(one.name, one)
    return tuple(found.values())


def holder(files: Files, name: str, below: str) -> Holder:
    """One of them, found on `below`. Raises `HostError` without its name: by that it is taken down."""
    at = f"{BLOCK}/{name}"
    return Holder(
        name=name,
        kind=kind(files, at),
        label=files.read_text(f"{at}/dm/name").strip() if files.exists(f"{at}/dm/name") else None,
        on=tuple(sorted({below, *files.names(f"{at}/slaves")})),
    )


def kind(files: Files, at: str) -> Literal["md", "dm", "bcache"] | None:
    """By what the driver shows of it (Documentation/admin-guide/md.rst, Documentation/ABI/testing/sysfs-block-dm,
    Documentation/admin-guide/bcache.rst).
    """
    if files.exists(f"{at}/md"):
        return "md"
    if files.exists(f"{at}/bcache"):
        return "bcache"
    return "dm" if files.exists(f"{at}/dm") else None


def disks_below(files: Files, device: str) -> set[str]:
    """The disks that a block device (major:minor, or a node) stands on, through partitions and device-mapper."""
    path = f"/sys/dev/block/{device}"
    if device.startswith("/dev/"):
        path = f"/sys/class/block/{files.resolve(device).rpartition('/')[2]}"
    if not files.exists(path):
        return set()
    at = files.resolve(path)
    if files.exists(f"{at}/partition"):
        at = at.rpartition("/")[0]
    slaves = files.names(f"{at}/slaves")
    if not slaves:
        return {at.rpartition("/")[2]}
    return set().union(*(disks_below(files, f"/dev/{slave}") for slave in slaves))
