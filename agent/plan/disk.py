# SPDX-License-Identifier: Apache-2.0
"""Which disk is meant, and may it be written: root device hints against the inventory.

Exactly one disk must fit. Anything else is an error that lists every disk and why it does not. Only an operator of
Ironic, whose hints are ironic-python-agent's, gets what that would take: the first that fits.
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
from agent.model.device_hints import OperatorHints, SkipList
from agent.model.disk import GB, Disk, DiskIdentity, Holder, RootDeviceHints
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.raid import ESP, RunningArray, without_host
from agent.plan.device_hints import GIB, holds, in_order, judged

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "==": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
LEAST_BYTES = 4 * GIB  # IPA's idea of a root disk
MEMBER = "linux_raid_member"
NAME = "volume_name"
ENDS = {
    "mounted on": "Unmount it: umount.",
    "swapped to": "End swapping to it: swapoff.",
    "bcache cache set": "Stop the set: echo 1 > /sys/fs/bcache/SET/stop.",
    "ZFS pool": "Export the pool: zpool export POOL.",
}
"""What to do about a user of a disk that is not taken down from here, by a word of `Disk.users`."""
ENDED = "Then ask again."
NAMES_ONE = ("serial", "wwn", "by_path", "hctl", "transport")
"""Hints by which a disk on a network may be meant: a size, or a model, says nothing of whose it is."""
TEXT_HINTS = ("serial", "wwn", "vendor", "model", "by_path", "hctl", "transport")


def disks_of(inventory: Inventory) -> tuple[Disk, ...]:
    """The disks; raises `HostError` when they could not be read, since "no disks" is another matter."""
    if isinstance(inventory.disks, Unknown):
        raise HostError("reading the disks", inventory.disks.unknown)
    return inventory.disks


def select(
    disks: tuple[Disk, ...],
    hints: RootDeviceHints | OperatorHints,
    skip: SkipList = (),
    arrays: tuple[Disk, ...] = (),
) -> Disk:
    """The disk that is meant; never one of `skip`, nor one that may be of it for all that is known. Hints of Ironic's
    may mean an array, too.

    Raises `NoDiskMatches` or `SeveralDisksMatch`.
    """
    if isinstance(hints, OperatorHints):
        return first_fitting((*disks, *arrays), hints, skip)
    doing = f"selecting the disk for {wanted(hints)}"
    reasons = {disk.path: misfits(disk, hints) + skip_reasons(disk, skip, disks) for disk in disks}
    fitting = [disk for disk in disks if not reasons[disk.path]]
    match fitting:
        case [disk]:
            return disk
        case []:
            raise NoDiskMatches(doing, listed(disks, reasons))
        case _:
            raise SeveralDisksMatch(doing, f"{len(fitting)} disks fit: {listed(disks, reasons)}")


def first_fitting(disks: tuple[Disk, ...], hints: OperatorHints, skip: SkipList) -> Disk:
    """As IPA selects: the first that fits, in its order; without hints the smallest that is large enough.

    Unlike there, a disk that can be taken out comes after all others where nothing asks for it, one that an array
    stands on after the array, and one on a network after the machine's own; without hints that one is never meant.
    Raises `NoDiskMatches`.
    """
    reasons = {disk.path: operator_misfits(disk, hints) + skip_reasons(disk, skip, disks) for disk in disks}
    fitting = [disk for disk in in_order(disks) if not reasons[disk.path]]
    if not fitting:
        raise NoDiskMatches(f"selecting the disk for {wanted(hints)}", listed(disks, reasons))
    if hints.specs:
        return min(fitting, key=lambda disk: (is_part(disk), disk.is_remote))
    return min(fitting, key=lambda disk: (is_part(disk), disk.removable, disk.size_bytes, disk.name))


def is_part(disk: Disk) -> bool:
    """Whether an array stands on it: a hint that fits both means the array."""
    return any(one.kind == "md" for one in disk.holders)


def operator_misfits(disk: Disk, hints: OperatorHints) -> list[str]:
    """Why the disk is not the one, in words; empty if it is."""
    verdict = judged(disk, hints)
    reasons = ["is read-only"] if disk.read_only else []
    if not hints.specs and disk.size_bytes < LEAST_BYTES:
        reasons.append("is smaller than 4 GiB, which without hints is too small")
    if not hints.specs and disk.is_remote:
        reasons.append(f"is on a network ({disk.transport}), and no hint names it")
    if isinstance(disk, RunningArray) and known(disk.volume_name) == ESP:
        reasons.append("is the mirror of EFI system partitions")
    return [*reasons, *verdict.misfits, *verdict.unknown]


def skip_reasons(disk: Disk, skip: SkipList, disks: tuple[Disk, ...]) -> list[str]:
    """Why the disk is, or may be, one that is never written to: by itself, as a part of an array, or, of an array, by
    one of the `disks` that it stands on.
    """
    below = [one for one in disks if disk.name in {above.name for above in one.holders}]
    return [
        *said_of(disk, skip),
        *(reason for entry in skip for reason in said_of_parts(disk, entry)),
        *(f"stands on {one.path}, which {reason}" for one in below for reason in said_of(one, skip)),
    ]


def said_of(disk: Disk, skip: SkipList) -> list[str]:
    """By which entries it is, or may be, skipped itself."""
    judgements = [(entry, judged(disk, entry)) for entry in skip]
    return [f"is to be skipped by {wanted(entry)}" for entry, verdict in judgements if verdict.fits] + [
        f"may have to be skipped by {wanted(entry)}: {', '.join(verdict.unknown)}"
        for entry, verdict in judgements
        if verdict.in_doubt
    ]


def said_of_parts(disk: Disk, entry: OperatorHints) -> list[str]:
    """Of which array that is to be skipped it is, or may be, a part."""
    match parts_named(disk, entry):
        case Unknown() as doubt:
            return [f"may be a part of an array to be skipped by {wanted(entry)}: {doubt}"]
        case names:
            return [f"is a part of {name}, to be skipped by {wanted(entry)}" for name in names]


def parts_named(disk: Disk, entry: OperatorHints) -> tuple[str, ...] | Unknown:
    """Names of the arrays, assembled or not, that the disk holds a part of and the entry may mean. What else the entry
    says is of the array, which perhaps nobody sees now.
    """
    if NAME not in entry.specs or isinstance(disk, RunningArray):
        return ()
    if isinstance(disk.contents, Unknown):
        return disk.contents
    names = [without_host(one.label or "") for one in disk.contents if one.kind == MEMBER]
    return tuple(name for name in names if holds(NAME, entry.specs[NAME], (name,) if name else ()))


def listed(disks: tuple[Disk, ...], reasons: dict[str, list[str]]) -> str:
    """Every disk, and why it is not the one."""
    seen = "; ".join(f"{disk.identity}: {', '.join(reasons[disk.path]) or 'fits'}" for disk in disks)
    return seen or "this machine has no disks"


def wanted(hints: RootDeviceHints | OperatorHints) -> str:
    """The hints as text."""
    given = hints.specs if isinstance(hints, OperatorHints) else hints.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "no hints"


def misfits(disk: Disk, hints: RootDeviceHints) -> list[str]:
    """Why the disk is not the one, in words; empty if it is."""
    reasons = ["is removable"] if disk.removable else []
    reasons += ["is read-only"] if disk.read_only else []
    if disk.is_remote and all(getattr(hints, name) is None for name in NAMES_ONE):
        reasons.append(f"is on a network ({disk.transport}), and no hint names it")
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


def must_be_free(disk: Disk, besides: tuple[Holder, ...] = ()) -> None:
    """Raises `DiskInUse` for a disk that is mounted or held, but by those: no word of the request allows that."""
    allowed = {claim for one in besides for claim in one.claims}
    users = [user for user in disk.users if user not in allowed]
    if users:
        ends = [told for word, told in ENDS.items() if any(word in user for user in users)]
        raise DiskInUse(f"preparing {disk.identity}", "; ".join(users), hint=" ".join((*ends, ENDED)) if ends else None)


def must_be_expendable(disk: Disk, *, overwrite: bool) -> None:
    """Raises `DiskHoldsData` unless the disk is blank or the request gives its data up."""
    if overwrite:
        return
    if isinstance(disk.contents, Unknown):
        raise DiskHoldsData(f"preparing {disk.identity}", f"what it holds is {disk.contents}")
    if disk.contents:
        held = ", ".join(f"{found.kind} on {found.node}" for found in disk.contents)
        raise DiskHoldsData(f"preparing {disk.identity}", f"it holds {held}")


def must_be_still(
    disks: tuple[Disk, ...],
    planned: DiskIdentity,
    *,
    to_write: bool = True,
    besides: tuple[Holder, ...] = (),
    grows_bytes: int = 0,
) -> None:
    """The disk at the planned path is the planned disk, free but for those holders, and writable if it is to be
    written; it may have grown by just so much. Raises `DiskChanged`, `DiskReadOnly`, `DiskInUse`.
    """
    doing = f"looking at {planned} again"
    disk = next((disk for disk in disks if disk.path == planned.path), None)
    if disk is None or disk.identity not in (planned, planned.grown(grows_bytes)):
        raise DiskChanged(doing, f"now it is {disk.identity}" if disk else "it is gone")
    if disk.read_only and to_write:
        raise DiskReadOnly(doing, "the kernel says it is read-only")
    must_be_free(disk, besides)


def must_be_the_one_begun(disk: Disk, begun: tuple[DiskIdentity, ...]) -> None:
    """Raises `DiskChanged` when a request that already wrote to one disk would now write to another."""
    if begun and disk.identity.bearer not in [one.bearer for one in begun]:
        before = ", ".join(str(one) for one in begun)
        raise DiskChanged(f"resuming on {disk.identity}", f"the request began on {before}")
