# SPDX-License-Identifier: Apache-2.0
"""What speaks against making an image of a disk, or should be known of it: a survey in, findings out. Pure.

A refusal becomes a warning with `--force`. Filesystems that were not cleanly unmounted are refused, because what is
free in them cannot be told from what is not: forced, they are read whole, deleted files and all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.errors import DecodeError
from agent.model.disk import MIB
from agent.model.filesystem.known import told
from agent.model.filesystem.survey import Part, Survey

MOST_PRIMARIES = 3
CAN_GROW = ("ext4", "xfs", "btrfs")
WHOLE = "it is read whole, with all that was ever deleted in it"


@dataclass(frozen=True)
class Finding:
    """`number` is a partition's; 0 is the disk."""

    code: str
    text: str
    is_refusal: bool = False
    number: int = 0

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


def findings(survey: Survey, *, root: int | None = None, will_be_mounted: bool = False) -> tuple[Finding, ...]:
    """All that is found. `root` is root's partition, where it is known; what will be mounted, will be clean."""
    found = list(of_table(survey, root))
    for part in survey.kept:
        found += of_part(part, will_be_mounted=will_be_mounted)
    return tuple(found)


def of_table(survey: Survey, root: int | None) -> Iterator[Finding]:
    """Of the disk as a whole."""
    left = survey.primaries - len(survey.left_out & {1, 2, 3, 4})
    if survey.table == "dos" and left > MOST_PRIMARIES:
        yield Finding("four-primaries", "the MBR has no record left for a config drive", is_refusal=True)
    if survey.table == "none":
        yield Finding("no-table", "it has no partition table: an image of it takes no config drive")
    if not survey.kept:
        yield Finding("empty", "it has no partition to make an image of", is_refusal=True)
        return
    last = survey.kept[-1]
    for offset, length in survey.outside:
        told = f"{length // MIB} MiB at byte {offset} belong to no filesystem"
        yield Finding("outside", f"{told}: they are read with whatever was left there")
    is_last = last.number == root if root is not None else last.kind in CAN_GROW
    if not is_last:
        yield Finding(
            "root-not-last", f"{last.title} is the last: root cannot grow on a larger disk", number=last.number
        )


def of_part(part: Part, *, will_be_mounted: bool) -> Iterator[Finding]:
    """Of one partition."""

    def finding(code: str, text: str, *, is_refusal: bool = False) -> Finding:
        return Finding(code, f"{part.title}: {text}", is_refusal, part.number)

    if part.kind == "linux_raid_member":
        yield finding("raid", "it is a part of a RAID, which one disk does not hold", is_refusal=True)
    elif part.kind == "LVM2_member" and part.volumes != 1:
        of = f"of {part.volumes} disks" if part.volumes else "of disks that cannot be told"
        yield finding("lvm", f"it belongs to a volume group {of}", is_refusal=True)
    elif part.kind in ("LVM2_member", "crypto_LUKS", "BitLocker"):
        yield finding("closed", f"what is inside cannot be told: {WHOLE}")
    if part.illegible is not None:
        yield finding("illegible", f"{part.illegible}: {WHOLE}")
    if part.filesystem is None:
        return
    if part.filesystem.elsewhere:
        yield finding("several-disks", f"{part.filesystem.elsewhere} is on another disk", is_refusal=True)
    reason = unclean(part)
    if reason and not (will_be_mounted and part.kind in CAN_GROW):
        yield finding("unclean", reason, is_refusal=True)


def unclean(part: Part) -> str | None:
    """Why its map of free space is not to be trusted."""
    try:
        return part.filesystem.unclean if part.filesystem else None
    except DecodeError as error:
        return told(error)
