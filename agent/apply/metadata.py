# SPDX-License-Identifier: Apache-2.0
"""Doing `WipeMetadata`: what says what disks hold is zeroed, read back, and looked for again by libblkid.

Each disk is on its own: one that fails does not keep the others from being wiped.
"""

from __future__ import annotations

from agent.apply.erase import must_be_zero
from agent.apply.erasing import NO_SIZE
from agent.errors import AgentError, DeviceError, EraseUnproven, HostError
from agent.host.disk_stack import partitions
from agent.host.doors import Host
from agent.model.disk import MIB, DiskIdentity
from agent.model.frozen import Reply, decode
from agent.model.job import Advance, Result
from agent.model.plan import Wipe, WipeMetadata


class Signature(Reply):
    """A line of wipefs."""

    offset: str
    type: str


class Signatures(Reply):
    """What wipefs finds."""

    signatures: tuple[Signature, ...] = ()


def wipe_metadata(host: Host, step: WipeMetadata, advance: Advance) -> Result:
    """Returns how many bytes of each disk were zeroed. Raises what one disk failed of, or `HostError` naming each."""
    result: Result = {}
    failures: list[AgentError] = []
    for number, wipe in enumerate(step.wipes):
        advance(number, len(step.wipes))
        try:
            wipe_disk(host, wipe)
        except AgentError as error:
            failures.append(error)
        else:
            who = wipe.disk.serial or wipe.disk.wwn or wipe.disk.path
            result[f"wiped {who}"] = sum(area.length_bytes for area in wipe.areas)
    match failures:
        case []:
            return result
        case [one]:
            raise one
        case _:
            raise HostError("wiping the disks' metadata", "; ".join(map(str, failures))) from failures[0]


def wipe_disk(host: Host, wipe: Wipe) -> None:
    """One disk. Raises `HostError`, `DiskInUse`, `DiskReadOnly`."""
    if not wipe.areas:
        raise DeviceError(f"wiping {wipe.disk}", NO_SIZE)
    with host.block.open_exclusive(wipe.disk.path) as disk:
        for area in wipe.areas:
            disk.zero(area.offset_bytes, area.length_bytes)
        disk.flush()
        for area in wipe.areas:
            end = area.offset_bytes + area.length_bytes
            for offset in range(area.offset_bytes, end, MIB):
                must_be_zero(disk, offset, min(MIB, end - offset), wipe.disk)
        disk.reread_table()
    nothing_may_be_found(host, wipe.disk)


def nothing_may_be_found(host: Host, disk: DiskIdentity) -> None:
    """Raises `EraseUnproven` with what the kernel or libblkid still see."""
    doing = f"looking at {disk} again"
    parts = partitions(host.files, disk.path.removeprefix("/dev/"))
    if parts:
        raise EraseUnproven(doing, f"the kernel still has {', '.join(parts)}")
    said = host.run(["wipefs", "--json", disk.path]).stdout
    found = decode(Signatures, said.strip() or "{}", doing).signatures
    if found:
        raise EraseUnproven(doing, f"it still holds {', '.join(f'{one.type} at {one.offset}' for one in found)}")
