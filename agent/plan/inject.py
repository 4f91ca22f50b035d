# SPDX-License-Identifier: Apache-2.0
"""Planning `disk.inject`: on which partitions of the selected disk each file may belong. Other disks are never meant.

A partition is named by its number, its node, a link of udev's or a tag of mount's; where none is named, the first that
has the directory in which the path begins is the one, as ironic-python-agent finds it.
"""

from __future__ import annotations

import re

from agent.errors import HostError, InputError, PreconditionError
from agent.model.disk import Content, Disk
from agent.model.fact import Unknown
from agent.model.inject import Candidate, FileToInject, InjectFiles, Placed
from agent.model.inventory import Inventory
from agent.model.plan import DiskMustBe, Plan
from agent.model.request import InjectRequest
from agent.plan.disk import disks_of, must_be_free, select
from agent.plan.guard import must_not_be_shared
from agent.plan.left import arrays_of

MOUNTED = {"ext2": "ext4", "ext3": "ext4", "ext4": "ext4", "xfs": "xfs", "btrfs": "btrfs", "vfat": "vfat"}
"""The driver that mounts it, by libblkid's name."""
TAG = re.compile(r"(UUID|LABEL|PARTUUID|PARTLABEL)=\"?(.+?)\"?")
LINK = re.compile(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)")
DOING = "looking for the partition of a file"
Tags = dict[str, dict[str, str]]
"""What udev says of each partition: its tags, by kernel name."""


def plan_inject(inventory: Inventory, request: InjectRequest, tags: Tags) -> Plan:
    """Nothing to do without files. Raises `InputError`, `PreconditionError`, `SelectionError`, `HostError`."""
    if not request.files:
        return Plan()
    disk = select(disks_of(inventory), request.root_device, request.skip, arrays_of(inventory))
    must_be_free(disk)
    must_not_be_shared((disk,), allowed=request.shared_too)
    placed = tuple(Placed(file=one, candidates=candidates(disk, one, tags)) for one in request.files)
    return Plan(
        preconditions=(DiskMustBe(disk=disk.identity),),
        steps=(InjectFiles(disk=disk.identity, placed=placed),),
    )


def candidates(disk: Disk, file: FileToInject, tags: Tags) -> tuple[Candidate, ...]:
    """Never none."""
    names = [part.name for part in sorted(disk.partitions, key=lambda part: part.offset_bytes)]
    if file.partition is not None:
        names = [named(disk, file.partition, tags)]
    found = tuple(
        Candidate(node=one.node, filesystem=MOUNTED[one.kind])
        for name in names
        for one in contents(disk)
        if one.node == f"/dev/{name}" and one.kind in MOUNTED
    )
    if not found:
        there = ", ".join(f"{one.kind} on {one.node}" for one in contents(disk)) or "nothing that is known"
        told = f"{file.path}: no filesystem that is mounted ({', '.join(MOUNTED)}); {disk.identity} has {there}"
        raise PreconditionError(DOING, told)
    return found


def named(disk: Disk, partition: int | str, tags: Tags) -> str:
    """Its kernel name. Raises `InputError` for one that is not on this disk, or that several are."""
    text = str(partition).strip()
    tag = TAG.fullmatch(text) or LINK.fullmatch(text)
    names = [part.name for part in disk.partitions]
    if text.isdecimal():
        found = [name for name in names if number_of(disk, name) == int(text)]
    elif tag is not None:
        kind, value = tag[1].upper(), tag[2]
        same = str.lower if kind.endswith("UUID") else str
        found = [name for name in names if same(tags.get(name, {}).get(kind, "")) == same(value)]
    else:
        found = [name for name in names if text == f"/dev/{name}"]
    match found:
        case [name]:
            return name
        case []:
            told = f"{text} is none of {disk.identity}, which has {', '.join(names) or 'no partitions'}"
            raise InputError(DOING, told, hint="Files are put into the disk of the deployed system, and no other.")
        case _:
            raise InputError(DOING, f"{text} is each of {', '.join(found)}")


def number_of(disk: Disk, name: str) -> int:
    """Of sda1, nvme0n1p1."""
    return int(name.removeprefix(disk.name).removeprefix("p"))


def contents(disk: Disk) -> tuple[Content, ...]:
    """Raises `HostError` where udev has not looked."""
    if isinstance(disk.contents, Unknown):
        raise HostError(DOING, f"what {disk.identity} holds is {disk.contents}")
    return disk.contents
