# SPDX-License-Identifier: Apache-2.0
"""Doing `PlaceConfigDrive`: a vfat filesystem made in a sparse file, copied to its place, read back and compared.

The volume id follows from the files: nothing here is random. File contents reach the tools by stdin, never through
arguments, and lie in no file but the image, which has mode 0600 and is removed.
"""

from __future__ import annotations

import zlib
from typing import assert_never

from agent.apply.target import GRAIN_BYTES, ZEROES
from agent.errors import NotAsObserved
from agent.host.doors import BlockDevice, Host
from agent.model.config_drive import ConfigDrive, DriveImage
from agent.model.job import Advance, Result
from agent.model.plan import PlaceConfigDrive

SLICE_BYTES = 4 * 1024 * 1024


def place_config_drive(host: Host, step: PlaceConfigDrive, advance: Advance) -> Result:
    """Returns the number of files. Raises `HostError`."""
    with host.block.open_exclusive(step.disk.path) as disk:
        data = built(host, step)
        copy(disk, step.offset_bytes, data)
        disk.flush()
        compare(disk, step.offset_bytes, data, f"placing the config drive on {step.disk.path}")
    advance(step.size_bytes, step.size_bytes)
    return {} if isinstance(step.drive, DriveImage) else {"config_drive_files": len(step.drive.files)}


def built(host: Host, step: PlaceConfigDrive) -> bytes:
    """The filesystem, as long as its partition."""
    match step.drive:
        case DriveImage():
            return step.drive.content().ljust(step.size_bytes, b"\0")
        case ConfigDrive():
            return built_of(host, step, step.drive)
    assert_never(step.drive)


def built_of(host: Host, step: PlaceConfigDrive, drive: ConfigDrive) -> bytes:
    """Of these files. Its file is the disk's own: another agent may be at work on another disk."""
    path = f"/run/bms-agent/config-drive-{step.disk.path.rpartition('/')[2]}"
    try:
        host.files.write(path, b"", mode=0o600)
        host.files.truncate(path, step.size_bytes)
        make(host, step, drive, host.files.real_path(path))
        return host.files.read_bytes(path)
    finally:
        host.files.remove(path)


def make(host: Host, step: PlaceConfigDrive, drive: ConfigDrive, image: str) -> None:
    """The filesystem, in this file."""
    host.run(mkfs_argv(image, step.label, volume_id(drive), step.disk.logical_sector_bytes))
    for directory in directories(drive):
        host.run(["mmd", "-i", image, f"::{directory}"])
    for path, text in sorted(drive.files.items()):
        host.run(["mcopy", "-i", image, "-", f"::{path}"], stdin=text.get_secret_value())


def mkfs_argv(image: str, label: str, volume: int, sector_bytes: int) -> list[str]:
    """Linux mounts no vfat whose sectors are smaller than the disk's (fs/fat/inode.c, fat_fill_super)."""
    return ["mkfs.vfat", "--invariant", "-S", str(sector_bytes), "-n", label, "-i", f"{volume:08x}", image]


def volume_id(drive: ConfigDrive) -> int:
    """Another one for another content."""
    texts = (f"{path}\0{text.get_secret_value()}\0" for path, text in sorted(drive.files.items()))
    return zlib.crc32("".join(texts).encode())


def directories(drive: ConfigDrive) -> list[str]:
    """Every directory, parents first."""
    found = set()
    for path in drive.files:
        parts = path.split("/")[:-1]
        found |= {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return sorted(found)


def copy(disk: BlockDevice, offset: int, data: bytes) -> None:
    """To its place; what is zero is zeroed."""
    disk.zero(offset, len(data))
    for at in range(0, len(data), GRAIN_BYTES):
        if (grain := data[at : at + GRAIN_BYTES]) != ZEROES[: len(grain)]:
            disk.write(offset + at, grain)


def compare(disk: BlockDevice, offset: int, data: bytes, doing: str) -> None:
    """What is on the medium is what was made."""
    for at in range(0, len(data), SLICE_BYTES):
        piece = data[at : at + SLICE_BYTES]
        if disk.read(offset + at, len(piece)) != piece:
            raise NotAsObserved(doing, f"what was read back at byte {offset + at} differs from what was written")
