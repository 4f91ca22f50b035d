# SPDX-License-Identifier: Apache-2.0
"""The captured system's own filesystems, mounted as it would mount them: root, and what its fstab has on this disk.

Found by looking, since nothing on a disk says which partition is root. Mounting replays journals: what was not
unmounted cleanly is in order afterwards, in the copy. Nothing of it is run, no device of it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.apply.capture import overlay
from agent.errors import CaptureRefused, CommandFailed, HostError
from agent.host.doors import Host, Tree
from agent.model.filesystem.survey import Part, Survey
from agent.model.generalise import EVERYTHING, read_text
from agent.model.generalise.edits import spelled, tag_of

PLACE = "/run/bms-agent/captured"
SAFELY = "nosuid,nodev,noexec"
MOUNTED = ("ext4", "xfs", "btrfs", "vfat")
ROOTS = ("ext4", "xfs", "btrfs")
CLOSED = ("LVM2_member", "crypto_LUKS", "BitLocker", "linux_raid_member")
"""What may hold a system's filesystems without our seeing them."""
TIMEOUT_S = 1800.0
"""A journal is replayed in seconds; a drive that is dying is slow."""


class System:
    """A system that is mounted: its tree, where it lies, and the names of its filesystems."""

    def __init__(self, tree: Tree, root: Part, own: frozenset[str]) -> None:
        self.tree = tree
        self.root = root
        self.own = own


@contextmanager
def mounted(host: Host, survey: Survey) -> Iterator[System]:
    """Raises `CaptureRefused` where there is no root, `HostError`. In the end all is unmounted: flushed, and clean."""
    unmount_all(host)
    parts = [part for part in survey.kept if part.kind in MOUNTED]
    try:
        nodes = {part.number: overlay.add_partition(host, part) for part in parts}
        root, options = found_root(host, parts, nodes)
        mount(host, root, nodes, PLACE, options)
        own = names_of(survey)
        tree = host.files.below(PLACE)
        for part, place, extra in others(tree, parts, root):
            mount(host, part, nodes, PLACE + place, extra)
        yield System(tree, root, own)
    except BaseException:
        with suppress(HostError):
            unmount_all(host)
            overlay.remove_partitions(host)
        raise
    unmount_all(host)
    overlay.remove_partitions(host)


def found_root(host: Host, parts: list[Part], nodes: dict[int, str]) -> tuple[Part, str]:
    """The one that holds an operating system, and the options that show it (btrfs: its subvolume)."""
    for part in (part for part in parts if part.kind in ROOTS):
        mount(host, part, nodes, PLACE, "")
        try:
            options = root_in(host.files.below(PLACE), part)
        finally:
            host.run(["umount", PLACE], timeout_s=TIMEOUT_S)
        if options is not None:
            return part, options
    told = (
        "no ext4, XFS or btrfs filesystem of this disk holds /etc/os-release (inside LVM or encryption nothing is seen)"
    )
    raise CaptureRefused("looking for the system on the disk", told, hint="Capture it as it is: --no-generalise")


def root_in(tree: Tree, part: Part) -> str | None:
    """Mount options under which this is a root; `None` if it is none."""
    if is_root(tree, ""):
        return ""
    for name in tree.names("/") if part.kind == "btrfs" else ():
        if "," not in name and tree.kind(f"/{name}") == "directory" and is_root(tree, f"/{name}"):
            return f"subvol=/{name}"
    return None


def is_root(tree: Tree, folder: str) -> bool:
    """Whether it is an operating system's."""
    has_release = any(tree.kind(f"{folder}/{path}") for path in ("etc/os-release", "usr/lib/os-release"))
    return has_release and tree.kind(f"{folder}/etc") == "directory"


def others(tree: Tree, parts: list[Part], root: Part) -> list[tuple[Part, str, str]]:
    """(partition, where, further options) of fstab's lines for this disk, from the top down. One that is to lie behind
    a link is left out: it would be mounted outside.
    """
    by_name = {name: part for part in parts for name in part_names(part)}
    found: dict[str, tuple[Part, str, str]] = {}
    for line in read_text(tree, "/etc/fstab").splitlines():
        spec, place, _, options, *_ = [*line.split(), "", "", "", ""]
        part = by_name.get(tag_of(spec) or "")
        place = place.rstrip("/")
        if part is None or not place or (part is root and part.kind != "btrfs") or not is_plain(tree, place):
            continue
        chosen = [each for each in options.split(",") if each.startswith(("subvol=", "subvolid="))]
        found.setdefault(place, (part, place, ",".join(chosen)))
    return [found[place] for place in sorted(found, key=lambda place: place.count("/"))]


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


def names_of(survey: Survey) -> frozenset[str]:
    """Of all that becomes part of the image."""
    names = frozenset(name for part in survey.kept for name in part_names(part))
    is_closed = any(part.kind in CLOSED for part in survey.kept)
    return names | {EVERYTHING} if is_closed else names


def mount(host: Host, part: Part, nodes: dict[int, str], place: str, options: str) -> None:
    """Safely: no device, no program, no set-uid of it counts."""
    if place == PLACE:
        host.files.write(f"{PLACE}/.keep", b"")
    argv = ["mount", "-t", part.kind or "", "-o", ",".join(filter(None, (SAFELY, options))), nodes[part.number], place]
    try:
        host.run(argv, timeout_s=TIMEOUT_S)
    except CommandFailed as error:
        told = f"the kernel cannot mount {part.title}: it is damaged, or needs another kernel"
        raise CaptureRefused(
            "mounting the captured system", told, hint="Repair it (fsck), or --no-generalise"
        ) from error


def unmount_all(host: Host) -> None:
    """From the bottom up, also what an agent that died has left."""
    places = [place for _, place in host.counters.mounts() if place == PLACE or place.startswith(f"{PLACE}/")]
    for place in sorted(places, key=len, reverse=True):
        host.run(["umount", place], timeout_s=TIMEOUT_S)
