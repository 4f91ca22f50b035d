# SPDX-License-Identifier: Apache-2.0
"""Which arrays are assembled before a step of Ironic's, and how: those that stay must run to be written in place of
their disks, and those that are to be skipped must run for their neighbours to be told from them.

Assembled to be written, md counts in the superblocks, and resyncs what it finds in disorder. Which array an entry means
by its size, or by whatever else, is seen when it runs: where any are to be skipped all are assembled read-only, looked
at as every plan does, and those that nobody means are then allowed to be written.
"""

from __future__ import annotations

from agent.errors import HostError
from agent.model.device_hints import SkipList
from agent.model.disk import Content, Disk
from agent.model.fact import Unknown, known
from agent.model.raid import Assembly, RunningArray
from agent.plan.disk import MEMBER, skip_reasons
from agent.plan.erase import is_local

HIGHEST = 127
"""md's nodes are numbered from here downwards, as mdadm does: the low numbers are for arrays that are made."""
Parts = list[tuple[Disk, Content]]


def assemblies(disks: tuple[Disk, ...], running: tuple[RunningArray, ...], skip: SkipList) -> tuple[Assembly, ...]:
    """One for each array that does not run, by its UUID. One that has a part on a disk which is removable or remote is
    left alone: run without that part, the part would be out of date. Raises `HostError` where nobody knows what a disk
    holds: a part may be on it.
    """
    there = {known(one.uuid) for one in running}
    taken = {one.name for one in running}
    nodes = (f"md{number}" for number in range(HIGHEST, -1, -1) if f"md{number}" not in taken)
    return tuple(
        Assembly(
            uuid=uuid,
            node=f"/dev/{next(nodes)}",
            members=tuple(part.node for _, part in parts),
            read_only=bool(skip),
        )
        for uuid, parts in sorted(parts_of(disks).items())
        if uuid not in there and all(is_local(disk) for disk, _ in parts)
    )


def writable(disks: tuple[Disk, ...], running: tuple[RunningArray, ...], skip: SkipList) -> tuple[str, ...]:
    """Nodes of the arrays that run read-only and neither are, nor stand on what is, nor may be, to be skipped: what an
    earlier step skipped may be among them. One with a part that is removable or remote is nobody's to be begun.
    """
    return tuple(
        one.path
        for one in running
        if one.read_only
        and not skip_reasons(one, skip, disks)
        and all(is_local(disk) for disk in disks if one.name in {above.name for above in disk.holders})
    )


def parts_of(disks: tuple[Disk, ...]) -> dict[str, Parts]:
    """By array. Raises `HostError`."""
    found: dict[str, Parts] = {}
    for disk in disks:
        if isinstance(disk.contents, Unknown):
            raise HostError("looking for the arrays", f"what {disk.identity} holds is {disk.contents}")
        for one in disk.contents:
            if one.kind == MEMBER and one.uuid:
                found.setdefault(one.uuid, []).append((disk, one))
    return found
