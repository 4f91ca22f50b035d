# SPDX-License-Identifier: Apache-2.0
"""Rules about what the firmware will start: whether it can, and whether it is what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from agent.diagnose.seen import Bootable, Booting, Seen, items
from agent.errors import DecodeError
from agent.model.efi import BootEntry, FirmwareBoot, PartitionPath, nodes, partition_of
from agent.model.fact import Unknown
from agent.model.finding import Finding, Severity
from agent.model.job import JobState

DEPLOY = "image.deploy"


def wrong_mode(seen: Seen) -> Iterator[Finding]:
    """No disk boots as this machine boots, and one would as it does not."""
    if isinstance(seen.booting, Unknown):
        return
    is_uefi = seen.booting.firmware is not None
    if any(starts(one, is_uefi) for one in seen.booting.disks):
        return
    for disk in seen.booting.disks:
        if starts(disk, not is_uefi):
            ours, its = ("UEFI", "BIOS") if is_uefi else ("BIOS", "UEFI")
            yield Finding(
                severity=Severity.ERROR,
                code="BOOT.WRONG_MODE",
                what=f"{disk.path} boots under {its}, and this machine boots under {ours}",
                why=f"EFI system partitions: {len(disk.system_partitions)}; code in the first sector: "
                f"{'yes' if disk.has_boot_code else 'no'}; no other disk boots under {ours}",
                to_do=f"Switch the firmware to {its}, or deploy an image that boots under {ours}.",
            )


def starts(disk: Bootable, is_uefi: bool) -> bool:
    """Whether there is what such firmware starts."""
    return bool(disk.system_partitions) if is_uefi else disk.has_boot_code


def wrong_order(seen: Seen) -> Iterator[Finding]:
    """The firmware starts another disk before the one that is meant. That it tries the network first is no fault."""
    if isinstance(seen.booting, Unknown) or (firmware := seen.booting.firmware) is None:
        return
    meant = disk_meant(seen, seen.booting)
    if meant is None or not meant.system_partitions:
        return
    for entry in in_order(firmware):
        target = leads_to(entry)
        on = next((disk for disk in seen.booting.disks if target in disk.system_partitions), None)
        if on is None:
            continue
        if on is not meant:
            yield Finding(
                severity=Severity.WARNING,
                code="BOOT.WRONG_ORDER",
                what=f"the firmware starts {on.path} before {meant.path}, which is meant",
                why=f"{entry} comes first in BootOrder",
                to_do="bms-agent boot select puts a disk first (--plan shows how).",
            )
        return


def disk_meant(seen: Seen, booting: Booting) -> Bootable | None:
    """The one that this system runs from; in the ramdisk, the one that was written last."""
    path = booting.root.path if booting.root is not None else None
    if path is None:
        written = [job for job in items(seen.jobs) if job.state is JobState.SUCCEEDED and job.verb == DEPLOY]
        path = written[-1].disks[0].path if written and written[-1].disks else None
    return next((disk for disk in booting.disks if disk.path == path), None)


def stale_entries(seen: Seen) -> Iterator[Finding]:
    """Entries of partitions that are not there: of a disk that was taken out, or written anew."""
    if isinstance(seen.booting, Unknown) or seen.booting.firmware is None:
        return
    there = {partition for disk in seen.booting.disks for partition in disk.system_partitions}
    stale = [entry for entry in in_order(seen.booting.firmware) if leads_to(entry) not in (None, *there)]
    if stale:
        yield Finding(
            severity=Severity.NOTICE,
            code="BOOT.STALE_ENTRIES",
            what=f"{len(stale)} boot entries lead to partitions that are not there",
            why="; ".join(map(str, stale[:4])),
            to_do="They cost time at each boot: bms-agent boot forget removes them (--plan shows which).",
        )


def in_order(firmware: FirmwareBoot) -> list[BootEntry]:
    """The entries that are tried, first one first."""
    by_number = {entry.number: entry for entry in firmware.entries}
    found = [by_number[number] for number in firmware.order if number in by_number]
    return [entry for entry in found if entry.option.is_active]


def leads_to(entry: BootEntry) -> PartitionPath | None:
    """The partition that it names, if it names one."""
    try:
        return next((found for node in nodes(entry.option.path) if (found := partition_of(node))), None)
    except DecodeError:
        return None
