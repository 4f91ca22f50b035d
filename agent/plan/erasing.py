# SPDX-License-Identifier: Apache-2.0
"""By what means each disk is erased: chosen from what was asked for, and from what the drive says it can do."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import SelectionError
from agent.model.disk import MIB, Disk
from agent.model.erasing import Abilities, Means
from agent.model.fact import Unknown, known
from agent.model.plan import EraseDisk
from agent.model.request import EraseMethod

Able = Mapping[str, Abilities | Unknown]
SAMPLES = 64
FAMILIES: Mapping[EraseMethod, tuple[Means, ...]] = {
    "nvme_sanitize": (Means.NVME_SANITIZE_CRYPTO, Means.NVME_SANITIZE_BLOCK),
    "nvme_format": (Means.NVME_FORMAT_CRYPTO, Means.NVME_FORMAT_ERASE),
    "ata_sanitize": (Means.ATA_SANITIZE_CRYPTO, Means.ATA_SANITIZE_BLOCK),
    "ata_secure_erase": (Means.ATA_SECURE_ERASE_ENHANCED, Means.ATA_SECURE_ERASE),
    "scsi_sanitize": (Means.SCSI_SANITIZE_CRYPTO, Means.SCSI_SANITIZE_BLOCK),
}
"""Methods that ask for one kind of means, and for no other in its place."""


def erasure(disk: Disk, method: EraseMethod, able: Able, *, show_hidden: bool = False) -> EraseDisk:
    """All of a disk, and samples. Raises `SelectionError`."""
    can = able.get(disk.path, Abilities())
    shows_bytes = hides(can) if show_hidden else 0
    means, notes = chosen(disk, method, can)
    return EraseDisk(
        disk=disk.identity,
        sample_offsets=sample_offsets(disk.size_bytes),
        sample_bytes=MIB,
        means=means,
        notes=notes,
        shut=can.shut if isinstance(can, Abilities) else None,
        has_password=isinstance(can, Abilities) and can.has_password,
        hidden_bytes=can.hidden_bytes if isinstance(can, Abilities) else 0,
        shown_offsets=sample_offsets(disk.size_bytes + shows_bytes) if shows_bytes else (),
        unseen=can.unseen if isinstance(can, Abilities) else (),
        boot_bytes=can.boot_bytes if isinstance(can, Abilities) else 0,
        model=known(disk.model),
        firmware=known(disk.firmware),
    )


def hides(can: Abilities | Unknown) -> int:
    """How much of it can be shown."""
    is_free = isinstance(can, Abilities) and can.running is None and can.shut is None
    return (can.hidden_bytes or 0) if is_free and isinstance(can, Abilities) else 0


def chosen(disk: Disk, method: EraseMethod, can: Abilities | Unknown) -> tuple[tuple[Means, ...], tuple[str, ...]]:
    """In the order in which they are tried: the next is for a drive that does not begin with the one before. And what
    is to be said of those that are passed over. A sanitize that is under way is waited for, whatever was asked for.
    """
    if isinstance(can, Unknown):
        can = Abilities(notes=(f"the drive did not say what it can do: {can.unknown}",))
    own, notes = can.means, can.notes
    if can.running is not None:
        return (can.running, *(one for one in own if one is not can.running), Means.ZERO), notes
    match method:
        case "secure":
            return (*own, Means.ZERO), notes
        case "discard":
            return (Means.DISCARD,), ()
        case "zero" | "express" | "metadata":
            return (Means.ZERO,), ()
        case _:
            of_family = tuple(one for one in own if one in FAMILIES[method])
            if not of_family:
                there = f"it has {', '.join(own)}" if own else "it has no means of its own"
                raise SelectionError(
                    f"preparing {disk.identity} for {method}",
                    "; ".join((there, *notes)),
                    hint="The method secure takes the best that each disk has.",
                )
            return of_family, notes


def sample_offsets(size_bytes: int) -> tuple[int, ...]:
    """The first and the last MiB, and MiBs spread evenly between."""
    last = max(size_bytes - MIB, 0)
    return tuple(sorted({last * place // SAMPLES // MIB * MIB for place in range(SAMPLES)} | {last}))
