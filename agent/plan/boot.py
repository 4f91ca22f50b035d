# SPDX-License-Identifier: Apache-2.0
"""Planning `boot.select` and `boot.forget`: which loader of a disk the firmware is to start, and which entries go."""

from __future__ import annotations

import re

from agent.errors import HostError, NothingToBoot
from agent.model.disk import Disk
from agent.model.efi import BootEntry, FirmwareBoot, LoadOption, SystemPartition, leads_to, path_to, shown
from agent.model.frozen import Frozen
from agent.model.plan import DiskMustBeIdle, ForgetBoot, Plan, SelectBoot
from agent.model.request import ForgetBootRequest, SelectBootRequest
from agent.plan.boot_left import marked

SUFFIXES = {"x86_64": "x64", "aarch64": "aa64", "i686": "ia32", "riscv64": "riscv64", "loongarch64": "loongarch64"}
"""Of the machine types' names for removable media (UEFI 2.10, section 3.5.1.1)."""
FALLBACK = "boot"
MOST_ENTRIES = 0x10000


class Loader(Frozen):
    """A file that the firmware could start; `label` and `data` are as its distribution wants them."""

    file: str
    label: str | None = None
    data: bytes = b""


def plan_select_boot(
    disk: Disk,
    firmware: FirmwareBoot,
    partitions: tuple[SystemPartition, ...],
    request: SelectBootRequest,
) -> Plan:
    """One step: an entry for the disk's loader, first in the order. Of what else there is nothing is changed. Raises
    `NothingToBoot`, `HostError`.
    """
    partition, loader = chosen(disk, partitions, request.esp_uuid, firmware.architecture)
    label = loader.label or f"OS on {disk.identity.serial or disk.identity.wwn or disk.path}"
    step = selection(disk, firmware, partition, loader, marked(label))
    return Plan(preconditions=(DiskMustBeIdle(disk=disk.identity),), steps=(step,))


def plan_select_mirrored(
    array: Disk,
    firmware: FirmwareBoot,
    mirrored: tuple[tuple[Disk, tuple[SystemPartition, ...]], ...],
    request: SelectBootRequest,
) -> Plan:
    """As `plan_select_boot` for an array, of which each disk has an EFI system partition of its own: an entry for each,
    in their order, so that any of them may be lost.
    """
    steps: list[SelectBoot] = []
    for number, (disk, partitions) in reversed(list(enumerate(mirrored, start=1))):
        partition, loader = chosen(disk, partitions, request.esp_uuid, firmware.architecture)
        suffix = f" (RAID, disk {number} of {len(mirrored)})"
        label = marked(loader.label or f"OS on {array.identity.array_uuid}", suffix)
        step = selection(array, firmware, partition, loader, label)
        firmware = followed(firmware, step)
        steps.append(step)
    return Plan(preconditions=(DiskMustBeIdle(disk=array.identity),), steps=tuple(steps))


def selection(disk: Disk, firmware: FirmwareBoot, partition: SystemPartition, loader: Loader, label: str) -> SelectBoot:
    """The entry that leads there, or a new one, comes first. Raises `HostError`."""
    file = loader.file.replace("/", "\\")
    for entry in firmware.entries:
        if entry.option.is_active and leads_to(entry.option, partition.partition, file):
            break
    else:
        option = LoadOption(label=label, path=path_to(partition.partition, file), data=loader.data)
        entry = BootEntry(number=free_number(firmware), option=option, raw=option.encode())
    order = (entry.number, *(number for number in firmware.order if number != entry.number))
    return SelectBoot(disk=disk.identity, entry=entry, before=firmware.order, order=order)


def followed(firmware: FirmwareBoot, step: SelectBoot) -> FirmwareBoot:
    """The firmware once the step is done."""
    entries = (*(one for one in firmware.entries if one.number != step.entry.number), step.entry)
    taken = firmware.taken | {step.entry.number}
    return firmware.model_copy(update={"entries": entries, "taken": taken, "order": step.order})


def plan_forget_boot(firmware: FirmwareBoot, request: ForgetBootRequest) -> Plan:
    """One step, if any entry fits: patterns are looked for in the entry's path as text, as IPA does."""
    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in request.match_patterns]
    gone = tuple(entry for entry in firmware.entries if any(each.search(shown(entry.option.path)) for each in patterns))
    if not gone:
        return Plan()
    numbers = {entry.number for entry in gone}
    order = tuple(number for number in firmware.order if number not in numbers)
    return Plan(steps=(ForgetBoot(entries=gone, before=firmware.order, order=order),))


def free_number(firmware: FirmwareBoot) -> int:
    """The lowest that nobody has, be it only in the order. Raises `HostError`."""
    taken = firmware.taken | set(firmware.order)
    number = next((number for number in range(MOST_ENTRIES) if number not in taken), None)
    if number is None:
        raise HostError("looking for a free boot entry", "the firmware has none")
    return number


def chosen(
    disk: Disk, partitions: tuple[SystemPartition, ...], uuid: str | None, architecture: str
) -> tuple[SystemPartition, Loader]:
    """The best loader of the first partition that has one. Raises `NothingToBoot`, which tells what was looked at."""
    doing = f"looking for what {disk.identity} boots"
    if not partitions:
        raise NothingToBoot(doing, "it has no EFI system partition")
    meant = [one for one in partitions if uuid is None or uuid.lower() in map(str.lower, one.uuids)]
    if not meant:
        raise NothingToBoot(doing, f"none of its EFI system partitions is {uuid}: {'; '.join(map(str, partitions))}")
    for one in meant:
        if ranked := loaders(one, architecture):
            return one, ranked[0]
    looked = "; ".join(f"{one} has {one.unreadable or ', '.join(one.programs) or 'no program'}" for one in meant)
    raise NothingToBoot(doing, f"no loader for {architecture}: {looked}")


def loaders(partition: SystemPartition, architecture: str) -> tuple[Loader, ...]:
    """The best first: what a distribution's list names, shim before all else; then the fallback that is there for any
    machine; then what is known by its name.
    """
    suffix = SUFFIXES.get(architecture, architecture)
    programs = {path.lower(): path for path in partition.programs}
    listed = [
        Loader(file=programs[one.file.lower()], label=one.label, data=one.data)
        for path, raw in partition.lists
        if path.lower().rpartition("/")[2] in (f"boot{suffix}.csv", "boot.csv")
        for one in rows(path, raw)
        if one.file.lower() in programs
    ]
    known = (f"shim{suffix}.efi", f"grub{suffix}.efi", f"systemd-boot{suffix}.efi", "bootmgfw.efi")
    named = [programs[path] for name in known for path in sorted(programs) if path.endswith(f"/{name}")]
    fallback = programs.get(f"/efi/{FALLBACK}/boot{suffix}.efi")
    others = [Loader(file=path) for path in ([fallback] if fallback else []) + named]
    return (*sorted(listed, key=lambda one: "shim" not in one.file.lower()), *others)


def rows(path: str, raw: bytes) -> tuple[Loader, ...]:
    """A list's lines: file, label, options, remark (shim, fallback.c). A line that is none is passed over."""
    folder = path.rpartition("/")[0]
    text = raw[: len(raw) // 2 * 2].decode("utf-16-le", errors="replace").removeprefix("\ufeff")
    fields = [line.split(",", 3) for line in text.replace("\0", "").splitlines()]
    return tuple(
        Loader(
            file=f"{folder}/{row[0].strip()}",
            label=row[1].strip() or None,
            data=row[2].strip().encode("utf-16-le") if len(row) > 2 else b"",
        )
        for row in fields
        if len(row) > 1 and row[0].strip()
    )
