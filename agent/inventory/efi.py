# SPDX-License-Identifier: Apache-2.0
"""How the firmware boots: its entries, and what a disk's EFI system partitions have to offer.

In: the firmware's variables, the bytes of a disk. Nothing is mounted: what a tenant may have written is read by us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from uuid import UUID

from agent.errors import DecodeError
from agent.host.doors import BlockDevice, Files, Host
from agent.inventory.cpu import ARCHITECTURE
from agent.model.disk import MIB, Disk
from agent.model.efi import (
    GPT_KIND,
    BootEntry,
    FirmwareBoot,
    PartitionPath,
    SystemPartition,
    decode_option,
    decode_order,
)
from agent.model.esp import partitions
from agent.model.filesystem.fat_files import FatFiles

PLATFORM_SIZE = "/sys/firmware/efi/fw_platform_size"
ENTRY = re.compile(r"Boot([0-9A-F]{4})")
LARGEST_LIST_BYTES = 64 * 1024
MOST_FOLDERS, MOST_FILES = 64, 32
TOP, DEEPER = "/EFI", "boot"


def firmware_boot(host: Host) -> FirmwareBoot | None:
    """The boot entries; `None` without UEFI. Raises `HostError`, `DecodeError`."""
    if not host.efi.is_there():
        return None
    names = host.efi.names()
    numbers = [int(found[1], 16) for name in names if (found := ENTRY.fullmatch(name))]
    return FirmwareBoot(
        architecture=architecture(host.files),
        entries=tuple(one for number in numbers if (one := boot_entry(number, host.efi.read(f"Boot{number:04X}")))),
        taken=frozenset(numbers),
        order=decode_order(host.efi.read("BootOrder")) if "BootOrder" in names else (),
    )


def firmware_architecture(host: Host) -> str | None:
    """Whose programs the firmware starts; `None` without UEFI. Raises `HostError`."""
    return architecture(host.files) if host.efi.is_there() else None


def architecture(files: Files) -> str:
    """Whose programs the firmware starts: on small x86-64 machines it may be one of 32 bits. Raises `HostError`."""
    kernel = files.read_text(ARCHITECTURE).strip()
    is_narrow = files.exists(PLATFORM_SIZE) and files.read_text(PLATFORM_SIZE).strip() == "32"
    return "i686" if kernel == "x86_64" and is_narrow else kernel


def boot_entry(number: int, raw: bytes) -> BootEntry | None:
    """One entry; `None` where the firmware keeps something under its name that is none."""
    try:
        return BootEntry(number=number, option=decode_option(raw), raw=raw)
    except DecodeError:
        return None


def system_partitions(host: Host, disk: Disk) -> tuple[SystemPartition, ...]:
    """The disk's EFI system partitions. One that cannot be read says so in its place. Raises `DeviceError`."""
    with host.block.open_read(disk.path) as device:
        head = device.read(0, min(MIB, device.size_bytes))
        return tuple(looked_into(device, one) for one in partitions(head, disk.logical_sector_bytes))


def looked_into(device: BlockDevice, partition: PartitionPath) -> SystemPartition:
    """What is on it. Raises `DeviceError`."""
    sector = device.logical_sector_bytes
    start, size = partition.first_lba * sector, partition.sectors * sector
    names = (str(UUID(bytes_le=partition.signature)),) if partition.table == GPT_KIND else ()
    try:
        if start + size > device.size_bytes:
            raise DecodeError("reading the EFI system partition", "it reaches past the disk's end")
        files = FatFiles(lambda offset, length: within(device, start, size, offset, length), size)
        programs = tuple(found(files, is_program))
        lists = tuple(found(files, is_list))
        contents = tuple((path, files.content(path, LARGEST_LIST_BYTES)) for path in lists)
    except DecodeError as error:
        return SystemPartition(partition=partition, uuids=names, unreadable=error.evidence)
    return SystemPartition(partition=partition, uuids=(*names, files.uuid), programs=programs, lists=contents)


def within(device: BlockDevice, start: int, size: int, offset: int, length: int) -> bytes:
    """A read that stays in the partition. Raises `DecodeError` for one that would not."""
    if offset + length > size:
        raise DecodeError("reading the EFI system partition", f"byte {offset + length} of {size} is beyond it")
    return device.read(start + offset, length)


def folders(files: FatFiles) -> tuple[str, ...]:
    """Those of the distributions: /EFI/*/ and one deeper, as Windows'. Raises `DecodeError`."""
    above = [f"{TOP}/{name}" for name in files.names(TOP)[:MOST_FOLDERS]]
    deeper = [f"{folder}/{name}" for folder in above for name in files.names(folder) if name.lower() == DEEPER]
    return (*above, *deeper)


def is_program(name: str) -> bool:
    """Whether a file may be one that the firmware starts, by its name in lower case."""
    return name.endswith(".efi")


def is_list(name: str) -> bool:
    """Whether a file may be one of a fallback loader's lists, by its name in lower case."""
    return name.startswith("boot") and name.endswith(".csv")


def found(files: FatFiles, fits: Callable[[str], bool]) -> Iterator[str]:
    """Paths of the files whose names fit, in the folders of the distributions.
    Of a crowd that no distribution makes only the first are looked at: an image must not keep us here for ever.
    """
    for folder in folders(files):
        fitting = [f"{folder}/{name}" for name in files.names(folder) if fits(name.lower())]
        yield from filter(files.find, fitting[:MOST_FILES])
