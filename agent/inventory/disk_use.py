# SPDX-License-Identifier: Apache-2.0
"""What a disk holds and who uses it: what stands between it and being overwritten.

In: udev's properties, the kernel's mounts, sysfs. Out: contents, users as text, the disk under `/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.inventory.disk_names import Properties, unescaped
from agent.inventory.fact import said
from agent.model.disk import SHARED, Content, Holder
from agent.model.fact import Unknown

SWAPPED = "swapped to"
POOLS = "/proc/spl/kstat/zfs"
SHARED_PARTITIONS = {
    "37affc90-ef7d-4e96-91c3-2d7ae055b174": "gpfs_partition",
    "aa31e02a-400f-11db-9590-000c2911d1b8": "vmfs_partition",
    "0xfb": "vmfs_partition",
}
"""Types of partitions whose content libblkid may not know."""


def properties(udev: Mapping[str, Properties] | Unknown, name: str) -> Properties | Unknown:
    """What udev says of one device. Without USEC_INITIALIZED no rule has run yet: silence then means nothing."""
    if isinstance(udev, Unknown):
        return udev
    told = udev.get(name, {})
    return told if "USEC_INITIALIZED" in told else Unknown(unknown=f"udev has not examined {name}")


def contents(
    udev: Mapping[str, Properties] | Unknown, names: list[str], above: tuple[Holder, ...] = ()
) -> tuple[Content, ...] | Unknown:
    """What is on a disk and on its partitions. One device that is not known makes all of it unknown. Of what stands
    `above` only what may be in use by other machines.
    """
    found: list[Content] = []
    for name in names:
        told = properties(udev, name)
        if isinstance(told, Unknown):
            return told
        found.extend(content(f"/dev/{name}", told, is_whole=name == names[0]))
    for one in above:
        told = properties(udev, one.name)
        higher = [] if isinstance(told, Unknown) else content(f"/dev/{one.name}", told, is_whole=False)
        found.extend(each for each in higher if each.kind.lower() in SHARED)
    return tuple(found)


def content(node: str, told: Properties, *, is_whole: bool) -> list[Content]:
    """A partition table and a filesystem, where there are any. A partition's udev entry repeats its disk's table."""
    found = []
    if is_whole and (table := told.get("ID_PART_TABLE_TYPE")):
        found.append(Content(node=node, kind=table, uuid=told.get("ID_PART_TABLE_UUID")))
    if kind := told.get("ID_FS_TYPE"):
        label = said(unescaped(told.get("ID_FS_LABEL_ENC") or told.get("ID_FS_LABEL", "")))
        found.append(Content(node=node, kind=kind, label=label, uuid=told.get("ID_FS_UUID")))
    typed = SHARED_PARTITIONS.get(told.get("ID_PART_ENTRY_TYPE", "").lower())
    if typed and not is_whole:
        found.append(Content(node=node, kind=typed, uuid=told.get("ID_PART_ENTRY_UUID")))
    return found


def by_node(names: tuple[str, ...], holders: tuple[Holder, ...]) -> dict[str, Holder]:
    """A disk, its partitions, and what is made of them, by the nodes under which the kernel names what it mounts."""
    devices = (*(Holder(name=each) for each in names), *holders)
    labelled = {f"/dev/mapper/{one.label}": one for one in holders if one.label}
    return {f"/dev/{one.name}": one for one in devices} | labelled


def swapping(names: tuple[str, ...], holders: tuple[Holder, ...], uses: list[tuple[str, str]]) -> tuple[Holder, ...]:
    """Where on a disk (its name and its partitions'), or on what is made of it, the kernel swaps."""
    nodes = by_node(names, holders)
    found = (nodes[node].name for node, use in uses if use == SWAPPED and node in nodes)
    return tuple(Holder(name=f"swap-{name}", kind="swap", on=(name,)) for name in found)


def users(names: tuple[str, ...], holders: tuple[Holder, ...], uses: list[tuple[str, str]]) -> tuple[str, ...]:
    """Why a disk (its name and its partitions') may not be overwritten, as text: mounts, on it or on what is made of
    it, and the devices that are made of it, swap among them.
    """
    nodes = by_node(names, holders)
    mounted = [f"/dev/{nodes[node]} is {use}" for node, use in uses if node in nodes and use != SWAPPED]
    below = {*names, *(one.name for one in holders)}
    return (*mounted, *(one.claim(each) for one in reversed(holders) for each in one.on if each in below))


def unnamed(
    files: Files, names: tuple[str, ...], holders: tuple[Holder, ...], found: tuple[Content, ...] | Unknown
) -> tuple[str, ...]:
    """Who keeps a disk open without a device that stands on it: a cache set of bcache's, an imported ZFS pool, which is
    known by its name on the disk (OpenZFS, module/zfs/spa_stats.c).
    """
    cached = {below for one in holders if one.kind == "bcache" for below in one.on}
    sets = [name for name in names if name not in cached and files.exists(f"/sys/class/block/{name}/bcache/set")]
    pools = [] if isinstance(found, Unknown) else [one for one in found if one.kind == "zfs_member" and one.label]
    return (
        *(f"/dev/{name} is in a bcache cache set" for name in sets),
        *(f"{one.node} is in the ZFS pool {one.label}" for one in pools if files.exists(f"{POOLS}/{one.label}")),
    )


def root_device(mountinfo: str) -> str:
    """The kernel name or number of what is mounted on `/`, the last mount being the one on top (proc(5))."""
    rows = [line.partition(" - ") for line in mountinfo.splitlines()]
    pairs = [(left.split(), right.split()) for left, _, right in rows]
    roots = [(left[2], right[1]) for left, right in pairs if len(left) > 4 and left[4] == "/" and len(right) > 1]
    if not roots:
        raise DecodeError("reading /proc/self/mountinfo", "nothing is mounted on /")
    number, source = roots[-1]
    return source if number.startswith("0:") else number  # btrfs has a number of its own, 0:…
