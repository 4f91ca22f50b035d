# SPDX-License-Identifier: Apache-2.0
"""Doing `BuildRaid`: partition tables by sfdisk, arrays by mdadm; what the kernel made of it is then compared."""

from __future__ import annotations

from agent.errors import CommandFailed, NotAsObserved
from agent.host.doors import Host
from agent.model.job import Advance, Result
from agent.model.plan import Array, BuildRaid, DiskTable
from agent.model.raid import MD_LEVEL, Assembly
from agent.program.log import Logger

LINUX_RAID = "A19D880F-05FC-4D3B-A006-743F0F84911E"
"""Partition type of the discoverable partitions specification's forerunner (util-linux, include/pt-gpt-partnames.h)."""
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
CREATE_S = 300.0

log = Logger("raid")


def assemble(host: Host, wanted: tuple[Assembly, ...]) -> None:
    """Let the kernel run these arrays: the ramdisk does so only where arrays are to be kept. One that does not run then
    is observed, and named, by whoever needs it. Raises `ToolMissing`.
    """
    for one in wanted:
        try:
            host.run(assemble_argv(one), timeout_s=CREATE_S)
        except CommandFailed as error:
            log.warning("an array does not run", uuid=one.uuid, said=str(error))
    if wanted:
        host.udev.settle()


def allow_writing(host: Host, nodes: tuple[str, ...]) -> None:
    """To arrays that run read-only. One that stays so is observed, and named, by whoever would write to it. Raises
    `ToolMissing`.
    """
    for node in nodes:
        try:
            host.run(["mdadm", "--readwrite", node], timeout_s=CREATE_S)
        except CommandFailed as error:
            log.warning("an array stays read-only", node=node, said=str(error))
    if nodes:
        host.udev.settle()


def assemble_argv(one: Assembly) -> list[str]:
    """Of these parts and no others. Some of them may be missing (`--run`): whether what is left will do, the kernel
    says (of a dirty RAID 5 it will not), and planning.
    """
    how = ["--readonly"] if one.read_only else []
    return ["mdadm", "--assemble", one.node, f"--uuid={one.uuid}", "--run", *how, *one.members]


def build_raid(host: Host, step: BuildRaid, advance: Advance) -> Result:
    """Returns what each array is made of. Raises `HostError`."""
    total = len(step.tables) + len(step.arrays)
    for done, table in enumerate(step.tables):
        advance(done, total)
        host.run(table_argv(table), stdin=table_script(table))
    host.udev.settle()
    result: Result = {}
    for done, array in enumerate(step.arrays, start=len(step.tables)):
        advance(done, total)
        host.run(create_argv(array), timeout_s=CREATE_S)
        must_be_as_planned(host, array)
        result[f"array {array.node}"] = f"{MD_LEVEL[array.level]} of {', '.join(array.members)}"
    return result


def table_argv(table: DiskTable) -> list[str]:
    """Signatures of what was on the disk, and in its new partitions, go with it."""
    return ["sfdisk", "--quiet", "--wipe=always", "--wipe-partitions=always", table.disk.path]


def table_script(table: DiskTable) -> str:
    """sfdisk(8), script of named fields; in sectors of this disk."""
    sector = table.disk.logical_sector_bytes
    lines = [
        f"start={part.offset_bytes // sector}, size={part.size_bytes // sector}, "
        f"type={ESP_TYPE if part.kind == 'esp' else LINUX_RAID}, name={part.label}"
        for part in table.partitions
    ]
    return "\n".join(["label: gpt", *lines, ""])


def create_argv(array: Array) -> list[str]:
    """Nothing is asked back. A bitmap makes the resync after a power cut short; RAID 0 has none, and an array of which
    the end is read by firmware needs none.
    """
    bitmap = [] if array.level == "0" or array.metadata == "1.0" else ["--bitmap=internal"]
    level = MD_LEVEL[array.level].removeprefix("raid")
    return ["mdadm", "--create", array.node, "--run", "--force", f"--metadata={array.metadata}", f"--level={level}",
            f"--raid-devices={len(array.members)}", f"--name={array.name}", *bitmap, *array.members]  # fmt: skip


def must_be_as_planned(host: Host, array: Array) -> None:
    """Raises `NotAsObserved` unless the kernel has it, of that level, on those partitions, and whole."""
    at = f"/sys/block/{array.node.removeprefix('/dev/')}"
    level = host.files.read_text(f"{at}/md/level").strip()
    degraded = array.level != "0" and host.files.read_text(f"{at}/md/degraded").strip() != "0"
    slaves = sorted(f"/dev/{name}" for name in host.files.names(f"{at}/slaves"))
    if level != MD_LEVEL[array.level] or slaves != sorted(array.members) or degraded:
        told = f"it is {'degraded ' if degraded else ''}{level} of {', '.join(slaves)}"
        raise NotAsObserved(f"making {array.node}", told)
