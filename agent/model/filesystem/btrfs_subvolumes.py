# SPDX-License-Identifier: Apache-2.0
"""The subvolumes of a btrfs, snapshots among them, from its tree of roots (include/uapi/linux/btrfs_tree.h). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from agent.model.filesystem.btrfs_tree import Item

TOP, FIRST, LAST = 5, 256, (1 << 64) - 257
ROOTS_DIRECTORY = 6
DIR_ITEM, ROOT_ITEM, ROOT_REF = 84, 132, 156
PARENT_UUID = slice(263, 279)
MOST = 1 << 16


@dataclass(frozen=True)
class Subvolume:
    """Where it hangs: its parent's number, and its name there."""

    number: int
    parent: int
    name: str
    is_snapshot: bool


@dataclass(frozen=True)
class Subvolumes:
    """All but the top. `default` is what is mounted without options."""

    every: tuple[Subvolume, ...]
    default: int

    def unseen(self, options: Iterable[str]) -> list[str]:
        """Names of those that mounts with these options do not show: what hangs below one of them is shown as its
        directory, but for snapshots, whose files lie where nobody looks.
        """
        seen = {self.chosen(option) for option in options}
        parents = {one.number: one.parent for one in self.every}
        return [
            one.name
            for one in self.every
            if one.number not in seen and (one.is_snapshot or not shown(one.number, parents, seen))
        ]

    def chosen(self, options: str) -> int | None:
        """The number that mount options mean (btrfs(5))."""
        for option in options.split(","):
            name, _, value = option.partition("=")
            if name == "subvolid" and value.isdigit():
                return int(value) or TOP
            if name == "subvol":
                return self.at(value)
        return self.default

    def at(self, path: str) -> int | None:
        """The one at a path from the top, through directories that are none."""
        name = path.strip("/").rpartition("/")[2]
        found = [one for one in self.every if one.name == name]
        found = [one for one in found if "/" in path.strip("/") or one.parent == TOP]
        return (found[0].number if len(found) == 1 else None) if name else TOP


def shown(number: int, parents: dict[int, int], seen: set[int | None]) -> bool:
    """Whether it hangs below one that is seen."""
    for _ in parents:
        number = parents.get(number, TOP)
        if number in seen:
            return True
    return False


def subvolumes_of(items: Iterable[Item]) -> Subvolumes:
    """From the tree of roots."""
    places: dict[int, tuple[int, str]] = {}
    snapshots: dict[int, bool] = {}
    default = TOP
    for item in items:
        key, data = item.key, item.data
        if key.kind == ROOT_REF and FIRST <= key.offset <= LAST and len(data) > 18 and len(places) < MOST:
            (length,) = struct.unpack_from("<H", data, 16)
            places[key.offset] = key.objectid, data[18 : 18 + length].decode("utf-8", errors="replace")
        elif key.kind == ROOT_ITEM and FIRST <= key.objectid <= LAST and len(snapshots) < MOST:
            snapshots[key.objectid] = any(data[PARENT_UUID])
        elif (key.objectid, key.kind) == (ROOTS_DIRECTORY, DIR_ITEM) and len(data) >= 30 and data[30:] == b"default":
            (default,) = struct.unpack_from("<Q", data)
    found = (
        Subvolume(number, *places.get(number, (TOP, f"number {number}")), snapshot)
        for number, snapshot in snapshots.items()
    )
    return Subvolumes(tuple(found), default)
