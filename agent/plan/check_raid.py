# SPDX-License-Identifier: Apache-2.0
"""The checker's part for arrays: made of partitions of this plan only, each used once, none over another."""

from __future__ import annotations

from itertools import pairwise

from agent.model.disk import MIB
from agent.model.plan import BuildRaid, DiskTable, MirrorLoader, Plan, SealDisk, WipeMetadata, WriteImage
from agent.model.raid import ESP, LEAST_DISKS


def arrays_of_new_partitions(plan: Plan) -> list[str]:
    """What is broken, in words."""
    broken = []
    for step in (one for one in plan.steps if isinstance(one, BuildRaid)):
        made = [node for table in step.tables for node in nodes(table)]
        used = [node for array in step.arrays for node in array.members]
        broken += [f"{node} is of no table of this plan" for node in used if node not in made]
        broken += [f"{node} would be in two places" for node in sorted({one for one in used if used.count(one) > 1})]
        broken += [f"{node} would be of no array" for node in made if node not in used]
        broken += [
            f"{array.node} would have too few members for RAID {array.level}"
            for array in step.arrays
            if len(array.members) < LEAST_DISKS[array.level]
        ]
        if len({array.node for array in step.arrays}) < len(step.arrays):
            broken.append("two arrays would have one node")
        broken += [
            f"{array.node} has its superblock where {'firmware' if array.name == ESP else 'nobody'} looks"
            for array in step.arrays
            if (array.name == ESP) != (array.metadata == "1.0")
        ]
        broken += [fault for table in step.tables for fault in misplaced(table)]
    return broken


def loaders_are_mirrored_last(plan: Plan) -> list[str]:
    """What firmware starts of an array is emptied before the array's image is written, and filled when it is sealed."""
    broken = []
    for place, image in enumerate(plan.steps):
        if not isinstance(image, WriteImage) or image.disk.array_uuid is None:
            continue
        before, after = plan.steps[:place], plan.steps[place + 1 :]
        sealed = [number for number, step in enumerate(after) if isinstance(step, SealDisk)]
        mirrors = [step for step in after[max(sealed, default=len(after)) :] if isinstance(step, MirrorLoader)]
        wiped = {wipe.disk for step in before if isinstance(step, WipeMetadata) for wipe in step.wipes}
        if [step.disk for step in mirrors] != [image.disk] or mirrors[0].to == image.disk:
            broken.append(f"nothing lets firmware boot {image.disk} once it is sealed")
        elif mirrors[0].to not in wiped:
            broken.append(f"what firmware starts of {image.disk} would not be emptied before")
    return broken


def nodes(table: DiskTable) -> list[str]:
    """Of the partitions of a table."""
    path = table.disk.path
    return [f"{path}{'p' if path[-1].isdigit() else ''}{number}" for number in range(1, len(table.partitions) + 1)]


def misplaced(table: DiskTable) -> list[str]:
    """Partitions that overlap, are not of whole sectors, or reach into a place of the partition tables."""
    places = [(part.offset_bytes, part.offset_bytes + part.size_bytes) for part in table.partitions]
    broken = [f"partitions of {table.disk} overlap" for one, other in pairwise(places) if one[1] > other[0]]
    if any(place % table.disk.logical_sector_bytes for area in places for place in area):
        broken.append(f"a partition of {table.disk} is not of whole sectors")
    if places and not MIB <= min(places)[0] < max(places)[1] <= table.disk.size_bytes - MIB:
        broken.append(f"a partition lies outside {table.disk}")
    return broken
