# SPDX-License-Identifier: Apache-2.0
"""Doing `MakeFilesystem`: by the tools that everybody makes them with, told where on the disk; then seen to be there.

What lay at both ends of the place is zeroed first: a RAID's superblock at its end, or another filesystem's at its
beginning, would make something else of it.
"""

from __future__ import annotations

from agent.apply.region import Region
from agent.errors import DecodeError, NotAsObserved
from agent.host.doors import BlockDevice, Host
from agent.model.disk import MIB
from agent.model.filesystem.names import names_of
from agent.model.job import Advance, Result
from agent.model.plan import MakeFilesystem

SWAP_HEAD_BYTES = 64 * 1024
"""The header ends the first page, which is no larger on any machine."""
TIMEOUT_S = 1800.0


def make_filesystem(host: Host, step: MakeFilesystem, advance: Advance) -> Result:
    """Returns its UUID. Raises `HostError`."""
    part, doing = step.partition, f"making {step.filesystem} '{step.partition.label}' on {step.disk.path}"
    with host.block.open_exclusive(step.disk.path) as disk:
        clear_ends(Region(disk, part.offset_bytes, part.size_bytes))
        disk.flush()
    if step.filesystem == "swap":
        header = swap_header(host, step)
    else:
        host.run(mke2fs_argv(step), timeout_s=TIMEOUT_S)
    with host.block.open_exclusive(step.disk.path) as disk:
        region = Region(disk, part.offset_bytes, part.size_bytes)
        if step.filesystem == "swap":
            region.write(0, header)
        region.flush()
        must_be_seen(region, step, doing)
    advance(1, 1)
    return {f"uuid of {part.label}": step.uuid}


def clear_ends(region: Region) -> None:
    """A MiB of each."""
    length = min(MIB, region.size_bytes)
    region.zero(0, length)
    region.zero(region.size_bytes - length, length)


def mke2fs_argv(step: MakeFilesystem) -> list[str]:
    """Nothing is asked back, and nothing is random. Inode tables are zeroed by the kernel that mounts it first, as on
    any disk: there may be terabytes.
    """
    part = step.partition
    extended = f"offset={part.offset_bytes},nodiscard,lazy_itable_init=1,hash_seed={step.uuid}"
    return ["mke2fs", "-q", "-F", "-t", step.filesystem, "-L", part.label, "-U", step.uuid, "-E", extended,
            step.disk.path, f"{part.size_bytes // 1024}k"]  # fmt: skip


def swap_header(host: Host, step: MakeFilesystem) -> bytes:
    """As mkswap makes it, in a sparse file of that length."""
    path = f"/run/bms-agent/swap-{step.disk.path.rpartition('/')[2]}"
    try:
        host.files.write(path, b"", mode=0o600)
        host.files.truncate(path, step.partition.size_bytes)
        host.run(["mkswap", "-L", step.partition.label, "-U", step.uuid, host.files.real_path(path)])
        header = bytearray(min(SWAP_HEAD_BYTES, step.partition.size_bytes))
        with host.files.open_large(path) as file:
            file.read_into(0, memoryview(header))
        return bytes(header)
    finally:
        host.files.remove(path)


def must_be_seen(region: BlockDevice, step: MakeFilesystem, doing: str) -> None:
    """It is on the medium, with its names. Raises `NotAsObserved`."""
    wanted = ("swap" if step.filesystem == "swap" else "ext4", step.uuid, step.partition.label)
    try:
        names = names_of(region.read(0, min(MIB, region.size_bytes)))
    except DecodeError as error:
        raise NotAsObserved(doing, "it is not there") from error
    if (names.kind, names.uuid, names.label) != wanted:
        raise NotAsObserved(doing, f"what is there is {names.kind} '{names.label}' {names.uuid}")
