# SPDX-License-Identifier: Apache-2.0
"""Which disk is meant, and may it be written: root device hints against the inventory.

Exactly one disk must fit. Anything else is an error that lists every disk and why it does not.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from agent.errors import (
    DiskChanged,
    DiskHoldsData,
    DiskInUse,
    DiskReadOnly,
    HostError,
    NoDiskMatches,
    SeveralDisksMatch,
)
from agent.model.disk import GB, Disk, DiskIdentity, RootDeviceHints
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "==": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
TEXT_HINTS = ("serial", "wwn", "vendor", "model", "by_path", "hctl", "transport")


def disks_of(inventory: Inventory) -> tuple[Disk, ...]:
    """The disks; raises `HostError` when they could not be read, since "no disks" is another matter."""
    if isinstance(inventory.disks, Unknown):
        raise HostError("reading the disks", inventory.disks.unknown)
    return inventory.disks


def select(disks: tuple[Disk, ...], hints: RootDeviceHints) -> Disk:
    """The one disk that fits all hints. Raises `NoDiskMatches` or `SeveralDisksMatch`."""
    doing = f"selecting the disk for {wanted(hints)}"
    reasons = {disk.path: misfits(disk, hints) for disk in disks}
    fitting = [disk for disk in disks if not reasons[disk.path]]
    match fitting:
        case [disk]:
            return disk
        case []:
            seen = "; ".join(f"{disk.identity}: {', '.join(reasons[disk.path])}" for disk in disks)
            raise NoDiskMatches(doing, seen or "this machine has no disks")
        case _:
            seen = "; ".join(f"{disk.identity}: {', '.join(reasons[disk.path]) or 'fits'}" for disk in disks)
            raise SeveralDisksMatch(doing, f"{len(fitting)} disks fit: {seen}")


def wanted(hints: RootDeviceHints) -> str:
    """The hints as text."""
    given = hints.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "no hints"


def misfits(disk: Disk, hints: RootDeviceHints) -> list[str]:
    """Why the disk is not the one, in words; empty if it is."""
    reasons = ["is removable"] if disk.removable else []
    reasons += ["is read-only"] if disk.read_only else []
    for name in TEXT_HINTS:
        want, have = getattr(hints, name), getattr(disk, name)
        if want is not None and str(known(have) or "").lower() != want.lower():
            reasons.append(f"{name} is {have if have is not None else 'absent'}")
    if hints.rotational is not None and known(disk.rotational) != hints.rotational:
        reasons.append(f"rotational is {disk.rotational}")
    if hints.size_gb is not None and not size_fits(disk.size_bytes // GB, hints.size_gb):
        reasons.append(f"size is {disk.size_bytes // GB} GB")
    return reasons


def size_fits(size_gb: int, hint: str) -> bool:
    """`480`, `>= 400`, `< 1000` …; the model has checked the form."""
    sign, number = re.fullmatch(r"([=<>]*) ?([0-9]+)", hint).groups()  # type: ignore[union-attr]
    return COMPARISONS[sign](size_gb, int(number))


def must_be_free(disk: Disk) -> None:
    """Raises `DiskInUse` for a disk that is mounted or held: no word of the request allows that."""
    if disk.users:
        raise DiskInUse(f"preparing {disk.identity}", "; ".join(disk.users))


def must_be_expendable(disk: Disk, *, overwrite: bool) -> None:
    """Raises `DiskHoldsData` unless the disk is blank or the request gives its data up."""
    if overwrite:
        return
    if isinstance(disk.contents, Unknown):
        raise DiskHoldsData(f"preparing {disk.identity}", f"what it holds is {disk.contents}")
    if disk.contents:
        held = ", ".join(f"{found.kind} on {found.node}" for found in disk.contents)
        raise DiskHoldsData(f"preparing {disk.identity}", f"it holds {held}")


def must_be_still(disks: tuple[Disk, ...], planned: DiskIdentity, *, to_write: bool = True) -> None:
    """The disk at the planned path is the planned disk, free, and writable if it is to be written. Raises
    `DiskChanged`, `DiskReadOnly`, `DiskInUse`.
    """
    doing = f"looking at {planned} again"
    disk = next((disk for disk in disks if disk.path == planned.path), None)
    if disk is None or disk.identity != planned:
        raise DiskChanged(doing, f"now it is {disk.identity}" if disk else "it is gone")
    if disk.read_only and to_write:
        raise DiskReadOnly(doing, "the kernel says it is read-only")
    must_be_free(disk)


def must_be_the_one_begun(disk: Disk, begun: tuple[DiskIdentity, ...]) -> None:
    """Raises `DiskChanged` when a request that already wrote to one disk would now write to another."""
    same = [(one.wwn, one.serial, one.size_bytes) for one in begun]
    if begun and (known(disk.wwn), known(disk.serial), disk.size_bytes) not in same:
        before = ", ".join(str(one) for one in begun)
        raise DiskChanged(f"resuming on {disk.identity}", f"the request began on {before}")
