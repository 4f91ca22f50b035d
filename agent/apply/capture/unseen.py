# SPDX-License-Identifier: Apache-2.0
"""What a captured system may hold that was not mounted, so that nothing in it is forgotten: it is refused, or told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.apply.capture.fstab import Line, Mount
from agent.errors import CaptureRefused
from agent.host.doors import Tree
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.findings import Finding
from agent.model.filesystem.survey import Part, Survey
from agent.model.generalise import holds_items
from agent.model.generalise.edits import NEEDED
from agent.model.generalise.swap import is_hibernated, swap_files
from agent.model.generalise.table import ITEMS

CLOSED = ("LVM2_member", "crypto_LUKS", "BitLocker", "linux_raid_member")
"""What may hold a system's filesystems without our seeing them."""
FILESYSTEMS = ("ext4", "xfs", "btrfs", "vfat")
OF_VAR = ("lib", "log", "cache")
OF_A_HOME = (".ssh", ".bash_history", ".bashrc", ".profile")
TOLD = "nothing in it is forgotten"


@dataclass(frozen=True)
class Content:
    """Of a filesystem: the mount options under which it is a root, if it is one; what else it resembles."""

    root: str | None
    resembles: str | None


def resembles(tree: Tree) -> str | None:
    """Of a tree: /var or /home, as it looks (systemd mounts them without any fstab, by their partition's type)."""
    names = tree.names("/")
    if set(OF_VAR) <= set(names):
        return "/var"
    is_home = any(tree.kind(f"/{name}/{mark}") for name in names for mark in OF_A_HOME)
    return "/home" if is_home else None


def unseen(
    tree: Tree, survey: Survey, mounts: list[Mount], missed: list[Line], kinds: dict[int, Content | CaptureRefused]
) -> Iterator[Finding]:
    """All that speaks against the image, or should be known of it."""
    numbers = {each.part.number for each in mounts}
    left = [part for part in survey.kept if part.number not in numbers and may_hold_files(part)]
    for line in missed:
        is_needed = line.place in NEEDED or holds_items(tree, ITEMS, line.place)
        if is_needed and any(line.could_be(part) for part in left):
            told = f"fstab mounts {line.spec} on {line.place}: if it lies on this disk, {TOLD}"
            yield Finding("not-mounted", told, is_refusal=True)
    for part in survey.kept:
        match kinds.get(part.number):
            case Content(root=str()) if part is not mounts[0].part:
                yield Finding("second-root", f"{part.title} holds another system: {TOLD}", True, part.number)
            case Content(resembles=str() as place) if part in left:
                told = f"{part.title} looks like a {place}, and fstab does not name it: {TOLD}"
                yield Finding("not-mounted", told, True, part.number)
            case Content() | CaptureRefused() if part in left:
                yield Finding("not-mounted", f"{part.title}: fstab does not name it: {TOLD}", number=part.number)
    for path in swap_files(tree):
        if is_hibernated(tree, path):
            yield Finding("unclean", f"a machine hibernated into {path}", is_refusal=True)
    for part in {each.part.number: each.part for each in mounts}.values():
        yield from of_subvolumes(part, [each.options for each in mounts if each.part is part])


def may_hold_files(part: Part) -> bool:
    """Whether a system could have mounted it, or what is inside."""
    return part.kind in FILESYSTEMS or part.kind in CLOSED or part.illegible is not None


def of_subvolumes(part: Part, options: list[str]) -> Iterator[Finding]:
    """Of btrfs: snapshots, and whatever lies beside what is mounted."""
    if part.filesystem is None or part.filesystem.kind != Btrfs.kind or part.subvolumes is None:
        return
    names = part.subvolumes.unseen(options)
    if names:
        told = f"snapshots and subvolumes that fstab does not mount ({', '.join(names[:5])}{'…' * (len(names) > 5)})"
        yield Finding("subvolumes", f"{part.title} has {told}: {TOLD}", True, part.number)
