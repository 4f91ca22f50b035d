# SPDX-License-Identifier: Apache-2.0
"""Where the captured system mounts the disk's filesystems, by its fstab(5); and which of its lines we cannot follow.

A line that names a disk as /dev/… is taken to mean this one where the partition with its number has the filesystem that
it says, and no other line means that partition: names of disks change, numbers of partitions do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.host.doors import Tree
from agent.model.filesystem.survey import Part
from agent.model.generalise import read_text
from agent.model.generalise.edits import MARK, spelled, tag_of

BY_NUMBER = re.compile(
    r"(/dev/(?:[shv]d[a-z]+|xvd[a-z]+|(?:nvme\d+n|mmcblk|loop)\d+p|disk/by-(?:id|path|diskseq)/.*-part))(\d+)"
)
EXT = ("ext2", "ext3", "ext4")
TYPES = {"auto", "btrfs", "xfs", "vfat", *EXT}


@dataclass(frozen=True)
class Line:
    """One of fstab's; root's place is empty."""

    spec: str
    place: str
    kind: str
    options: str

    def could_be(self, part: Part) -> bool:
        """Whether that partition may hold what it means, as far as the types tell."""
        kind = "ext4" if self.kind in EXT else self.kind
        return kind in ("auto", part.kind) or (part.kind not in TYPES and kind in TYPES)


@dataclass(frozen=True)
class Mount:
    """Further options are those that choose a subvolume of btrfs."""

    part: Part
    place: str
    options: str = ""


def lines_of(tree: Tree) -> list[Line]:
    """Those of filesystems on block devices."""
    found = []
    for text in read_text(tree, "/etc/fstab").splitlines():
        spec, place, kind, options, *_ = [*text.split(), "", "", "", ""]
        is_device = spec.startswith("/dev/") or tag_of(spec) is not None
        if is_device and place.startswith("/") and kind != "swap" and not text.startswith(MARK[:1]):
            found.append(Line(spec, place.rstrip("/"), kind or "auto", options))
    return found


def mounts_of(tree: Tree, parts: list[Part], root: Part) -> tuple[list[Mount], list[Line]]:
    """(what to mount, from the top down; lines that lead to none of these). A place behind a link counts as neither
    there nor mounted: it would be mounted outside.
    """
    lines = lines_of(tree)
    meant = parts_meant(lines, parts, root)
    found: dict[str, Mount] = {}
    missed = []
    for line in lines:
        part = meant.get(line)
        if not line.place or (part is root and part.kind != "btrfs"):
            continue
        if part is None or not is_plain(tree, line.place):
            missed.append(line)
            continue
        chosen = [each for each in line.options.split(",") if each.startswith(("subvol=", "subvolid="))]
        found.setdefault(line.place, Mount(part, line.place, ",".join(chosen)))
    return [found[place] for place in sorted(found, key=lambda place: place.count("/"))], missed


def parts_meant(lines: list[Line], parts: list[Part], root: Part) -> dict[Line, Part]:
    """By their tags; then, by number, those that are still free."""
    by_name = {name: part for part in parts for name in part_names(part)}
    tagged = {line: by_name.get(tag_of(line.spec) or "") for line in lines}
    meant = {line: part for line, part in tagged.items() if part is not None}
    taken = {part.number for part in meant.values()} | {root.number}
    numbered = [(line, match) for line in lines if (match := BY_NUMBER.fullmatch(line.spec))]
    own = {match.group(1) for line, match in numbered if not line.place and int(match.group(2)) == root.number}
    for part in parts:
        fits = [(line, at) for line, at in numbered if int(at.group(2)) == part.number and line.could_be(part)]
        stems = {match.group(1) for _, match in fits}
        stems = stems & own or (stems - kernel_names(stems) if kernel_names(own) else stems)
        if part.number not in taken and len(stems) == 1:
            meant |= {line: part for line, match in fits if match.group(1) in stems}
    return meant


def kernel_names(stems: Iterable[str]) -> set[str]:
    """Of disks: where root has one, another is another disk's."""
    return {stem for stem in stems if "/by-" not in stem}


def is_plain(tree: Tree, place: str) -> bool:
    """Whether every name on the way is a directory, as it stands."""
    names = place.split("/")[1:]
    steps = ["/" + "/".join(names[: count + 1]) for count in range(len(names))]
    return place.startswith("/") and ".." not in names and all(tree.kind(step) == "directory" for step in steps)


def part_names(part: Part) -> list[str]:
    """What fstab may call it."""
    found = part.filesystem
    told = {"UUID": found and found.uuid, "LABEL": found and found.label, "PARTUUID": part.guid, "PARTLABEL": part.name}
    return [spelled(tag, value) for tag, value in told.items() if value]
