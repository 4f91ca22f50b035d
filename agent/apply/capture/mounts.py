# SPDX-License-Identifier: Apache-2.0
"""The captured system's own filesystems, mounted as it would mount them: root, and what its fstab has on this disk.

Found by looking, since nothing on a disk says which partition is root. Mounting replays journals: what was not
unmounted cleanly is in order afterwards, in the copy. Nothing of it is run, no device of it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.apply import mounting
from agent.apply.capture import overlay
from agent.apply.capture.fstab import Mount, mounts_of, part_names
from agent.apply.capture.unseen import CLOSED, Content, resembles, unseen
from agent.apply.mounting import is_root, make_place, unmount, unmount_all
from agent.errors import CaptureRefused, CommandFailed, HostError
from agent.host.doors import Host, Tree
from agent.model.filesystem.findings import Finding
from agent.model.filesystem.survey import Part, Survey
from agent.model.generalise import EVERYTHING

PLACE = "/run/bms-agent/captured"
MOUNTED = ("ext4", "xfs", "btrfs", "vfat")
ROOTS = ("ext4", "xfs", "btrfs")


class System:
    """A system that is mounted: its tree, where its filesystems lie, their names, and what could not be seen of it."""

    def __init__(self, tree: Tree, root: Part, own: frozenset[str], mounts: list[Mount], unseen: list[Finding]) -> None:
        self.tree = tree
        self.root = root
        self.own = own
        self.mounts = mounts
        self.unseen = unseen


@contextmanager
def mounted(host: Host, survey: Survey) -> Iterator[System]:
    """Raises `CaptureRefused` where there is no root, `HostError`. In the end all is unmounted: flushed, and clean."""
    unmount_all(host, PLACE)
    parts = [part for part in survey.kept if may_be_mounted(part)]
    try:
        nodes = {part.number: overlay.add_partition(host, part) for part in parts}
        kinds = {part.number: looked_into(host, part, nodes) for part in parts if part.kind in ROOTS}
        root, options = found_root(parts, kinds)
        mount(host, root, nodes, PLACE, options)
        tree = host.files.below(PLACE)
        others, missed = mounts_of(tree, parts, root)
        mounts = [Mount(root, "", options), *others]
        for each in others:
            mount(host, each.part, nodes, PLACE + each.place, each.options)
        yield System(tree, root, names_of(survey), mounts, list(unseen(tree, survey, mounts, missed, kinds)))
    except BaseException:
        with suppress(HostError):
            unmount_all(host, PLACE)
            overlay.remove_partitions(host)
        raise
    unmount_all(host, PLACE)
    overlay.remove_partitions(host)


def may_be_mounted(part: Part) -> bool:
    """Not where some of it lies on another device, or that cannot be told: the kernel would write a journal there, on
    the disk itself and not on the copy.
    """
    return part.kind in MOUNTED and part.filesystem is not None and not part.filesystem.elsewhere


def looked_into(host: Host, part: Part, nodes: dict[int, str]) -> Content | CaptureRefused:
    """What it holds; or why that cannot be seen."""
    try:
        mount(host, part, nodes, PLACE, "")
    except CaptureRefused as refused:
        return refused
    try:
        tree = host.files.below(PLACE)
        return Content(root_in(tree, part), resembles(tree))
    finally:
        unmount(host, PLACE)


def found_root(parts: list[Part], kinds: dict[int, Content | CaptureRefused]) -> tuple[Part, str]:
    """The first that holds an operating system, and the options that show it (btrfs: its subvolume)."""
    for part in parts:
        match kinds.get(part.number):
            case Content(root=str() as options):
                return part, options
    for refused in kinds.values():
        if isinstance(refused, CaptureRefused):
            raise refused
    told = "none of its ext4, XFS and btrfs filesystems holds /etc/os-release (not seen: LVM, encryption, other disks)"
    raise CaptureRefused("looking for the system on the disk", told, hint="Capture it as it is: --no-generalise")


def root_in(tree: Tree, part: Part) -> str | None:
    """Mount options under which this is a root; `None` if it is none."""
    if is_root(tree, ""):
        return ""
    for name in tree.names("/") if part.kind == "btrfs" else ():
        if "," not in name and tree.kind(f"/{name}") == "directory" and is_root(tree, f"/{name}"):
            return f"subvol=/{name}"
    return None


def names_of(survey: Survey) -> frozenset[str]:
    """Of all that becomes part of the image."""
    names = frozenset(name for part in survey.kept for name in part_names(part))
    is_closed = any(part.kind in CLOSED for part in survey.kept)
    return names | {EVERYTHING} if is_closed else names


def mount(host: Host, part: Part, nodes: dict[int, str], place: str, options: str) -> None:
    """Raises `CaptureRefused`."""
    if place == PLACE:
        make_place(host, PLACE)
    try:
        mounting.mount(host, part.kind or "", nodes[part.number], place, options)
    except CommandFailed as error:
        told = f"the kernel cannot mount {part.title}: it is damaged, or needs another kernel"
        raise CaptureRefused(
            "mounting the captured system", told, hint="Repair it (fsck), or --no-generalise"
        ) from error
