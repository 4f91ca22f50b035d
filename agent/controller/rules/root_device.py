# SPDX-License-Identifier: Apache-2.0
"""Which disk gets the OS: chosen once, when the server is ordered, and pinned by what does not change."""

from __future__ import annotations

import re

from agent.controller.records.server import PinnedDisk
from agent.model.config_drive import SIZE_BYTES as CONFIG_DRIVE_BYTES
from agent.model.disk import GB, MIB, Disk, RootDeviceHints
from agent.model.fact import Unknown, known
from agent.model.flavor import local_disks

TEXT_HINTS = ("serial", "wwn", "vendor", "model", "by_path", "hctl", "transport")


def label(disk: Disk) -> str:
    """How a disk is called in a message."""
    serial = known(disk.serial)
    return f"{disk.name} (serial {serial})" if serial else disk.name


def needed_bytes(min_disk_gb: int, image_bytes: int | None) -> int:
    """How large the root disk must be: the image, the config drive behind it, and a MiB for the second GPT."""
    return max(min_disk_gb * GB, (image_bytes or 0) + CONFIG_DRIVE_BYTES + 2 * MIB)


def unfit(disk: Disk, needed: int, sector_bytes: int | None = None) -> str | None:
    """Why this disk cannot take the OS."""
    if disk.read_only:
        return "it is read-only"
    if disk.users:
        return f"it is in use: {', '.join(disk.users)}"
    if disk.size_bytes < needed:
        return f"it has {disk.size_bytes / GB:.1f} GB, {needed / GB:.1f} are needed"
    if sector_bytes not in (None, disk.logical_sector_bytes):
        return f"it has sectors of {disk.logical_sector_bytes} bytes, the image is made for {sector_bytes}"
    if not (known(disk.serial) or known(disk.wwn) or known(disk.by_path)):
        return "nothing tells it from others: no serial, no WWN, no path"
    return None


def mismatch(disk: Disk, hints: RootDeviceHints) -> str | None:
    """The first hint that this disk does not meet."""
    for name in TEXT_HINTS:
        wanted, seen = getattr(hints, name), known(getattr(disk, name))
        if wanted is not None and (seen is None or wanted.strip().lower() != seen.strip().lower()):
            return f"{name} is {seen}, not {wanted}"
    if hints.rotational is not None and known(disk.rotational) != hints.rotational:
        return f"rotational is {known(disk.rotational)}, not {hints.rotational}"
    if hints.size_gb is not None and not size_fits(disk.size_bytes // GB, hints.size_gb):
        return f"size is {disk.size_bytes // GB} GB, not {hints.size_gb}"
    return None


def size_fits(size_gb: int, expression: str) -> bool:
    """`480` and `== 480` mean exactly; `>= 400`, `< 1000` and so on as they read."""
    operator, number = re.fullmatch(r"(==|>=|<=|>|<)? ?([0-9]+)", expression).groups()  # type: ignore[union-attr]
    wanted = int(number)
    match operator:
        case ">=":
            return size_gb >= wanted
        case "<=":
            return size_gb <= wanted
        case ">":
            return size_gb > wanted
        case "<":
            return size_gb < wanted
        case _:
            return size_gb == wanted


def choose(
    disks: tuple[Disk, ...], needed: int, hints: RootDeviceHints | None, sector_bytes: int | None = None
) -> Disk | str:
    """The root disk, or why there is none. A user's hints decide alone; otherwise the smallest solid-state disk that
    fits, then the smallest disk, then the first by path: the same on machines that are alike."""
    candidates = local_disks(disks)
    if hints is not None:
        candidates = tuple(disk for disk in candidates if mismatch(disk, hints) is None)
        if len(candidates) > 1:
            return f"root_device: the hints fit {', '.join(map(label, candidates))}: they must fit one"
    fitting = [disk for disk in candidates if unfit(disk, needed, sector_bytes) is None]
    if not fitting:
        return _no_disk(local_disks(disks), needed, hints, sector_bytes)
    return min(fitting, key=lambda disk: (known(disk.rotational) is not False, disk.size_bytes, _path(disk)))


def _path(disk: Disk) -> tuple[str, str]:
    return known(disk.by_path) or "", disk.name


def _no_disk(disks: tuple[Disk, ...], needed: int, hints: RootDeviceHints | None, sector_bytes: int | None) -> str:
    reasons = [
        f"{label(disk)}: {(mismatch(disk, hints) if hints else None) or unfit(disk, needed, sector_bytes)}"
        for disk in disks
    ]
    return f"root_device: no disk fits ({'; '.join(reasons) or 'there is no local disk'})"


def pin(disk: Disk) -> PinnedDisk:
    """What is kept of the chosen disk."""
    return PinnedDisk(
        serial=known(disk.serial), wwn=known(disk.wwn), by_path=known(disk.by_path), size_bytes=disk.size_bytes
    )


def hints_for(disk: PinnedDisk, *, with_size: bool = True) -> RootDeviceHints:
    """Hints that only this disk meets: serial and WWN, the place where it is plugged in if it has neither, and its
    size. Orders of earlier releases have none, and are served as they were given.
    """
    size_gb = f"== {disk.size_bytes // GB}" if with_size else None
    if disk.serial or disk.wwn:
        return RootDeviceHints(serial=disk.serial, wwn=disk.wwn, size_gb=size_gb)
    return RootDeviceHints(by_path=disk.by_path, size_gb=size_gb)


def is_disk(disk: PinnedDisk, wwn: str | None, serial: str | None) -> bool:
    """Whether the disk that an OS says it runs on is the pinned one: by WWN where both have one, else by serial.

    A disk that has neither cannot be told apart; then the nonce alone decides.
    """
    if not (disk.wwn or disk.serial):
        return True
    pairs = [(ours, theirs) for ours, theirs in ((disk.wwn, wwn), (disk.serial, serial)) if ours and theirs]
    return bool(pairs) and pairs[0][0].strip().lower() == pairs[0][1].strip().lower()


def held(disks: tuple[Disk, ...]) -> tuple[str, ...]:
    """Local disks that hold data, or may, each with what it holds."""
    return tuple(f"{label(disk)} holds {what}" for disk in local_disks(disks) if (what := _content(disk)))


def _content(disk: Disk) -> str:
    if isinstance(disk.contents, Unknown):
        return f"what could not be read: {disk.contents.unknown}"
    return ", ".join(sorted({content.kind for content in disk.contents}))
