# SPDX-License-Identifier: Apache-2.0
"""The checker's part for arrays: made of partitions of this plan only, each used once, none over another."""

from __future__ import annotations

from itertools import pairwise

from agent.model.disk import MIB
from agent.model.plan import BuildRaid, DiskTable, Plan
from agent.model.raid import LEAST_DISKS


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
        broken += [fault for table in step.tables for fault in misplaced(table)]
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
