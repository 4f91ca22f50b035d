# SPDX-License-Identifier: Apache-2.0
"""An image's partition table, of either kind, fitted to the disk that the image is written to. Pure.

The image was made for a disk of its own size: its backup GPT lies at the image's end, and there is no config drive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from agent.errors import DecodeError, PartitionTableError, SectorSizeMismatch
from agent.model import gpt, mbr

if TYPE_CHECKING:  # whoever only reads a table starts without all that is ever planned
    from agent.model.plan import Partition


@dataclass(frozen=True)
class Fitted:
    """What to write: `head` at 0, `tail` so that it ends at the disk's end (empty without a GPT)."""

    head: bytes
    tail: bytes
    kind: str


def fit(head: bytes, disk_bytes: int, sector_bytes: int, add: tuple[Partition, ...]) -> Fitted:
    """The table in `head`, fitted to a disk of that size and sector size, with partitions added.

    Raises `SectorSizeMismatch`, `ImageTooLarge`, `PartitionTableError`, `DecodeError`: all before anything is written.
    """
    if mbr.is_in_force(head):
        return Fitted(mbr.fit(head, disk_bytes, sector_bytes, add), b"", "dos")
    made_for = gpt.sector_bytes_of(head)
    if made_for is not None and made_for != sector_bytes:
        told = f"the image's GPT has sectors of {made_for} bytes, the disk of {sector_bytes}"
        raise SectorSizeMismatch("fitting the image to the disk", told)
    if made_for is not None:
        new, tail = gpt.fit(head, disk_bytes, sector_bytes, add)
        return Fitted(new, tail, "gpt")
    if mbr.parse(head) is not None:
        raise DecodeError("reading the image's partition table", "it has the MBR of a GPT, and no GPT")
    if add:
        names = ", ".join(partition.label for partition in add)
        raise PartitionTableError(f"adding the partition '{names}'", "the image has no partition table")
    return Fitted(head, b"", "none")


def blank(guid: str, disk_bytes: int, sector_bytes: int, head_bytes: int) -> bytes:
    """A GPT without partitions, for a disk that gets a layout of its own; to be fitted as an image's is."""
    return gpt.blank(UUID(guid), disk_bytes, sector_bytes, head_bytes)


def partitions(head: bytes, sector_bytes: int) -> tuple[tuple[int, int, int], ...]:
    """(number, offset in bytes, size in bytes) of each partition, as a kernel would see them in this head."""
    if mbr.is_in_force(head):
        places = [(one.slot + 1, one.first_lba, one.sectors) for one in mbr.parse(head) or ()]
    else:
        try:
            found = gpt.parse(head, sector_bytes).entries
        except DecodeError:
            return ()
        places = [(one.slot + 1, one.first_lba, one.last_lba - one.first_lba + 1) for one in found]
    return tuple((number, first * sector_bytes, sectors * sector_bytes) for number, first, sectors in places)


def partitions_in_backup(tail: bytes, sector_bytes: int, disk_bytes: int) -> tuple[tuple[int, int, int], ...]:
    """The same of the copy at a disk's end. A kernel takes it for none as long as the head is blank."""
    try:
        found = gpt.parse_backup(tail, sector_bytes, disk_bytes)
    except DecodeError:
        return ()
    return tuple(
        (one.slot + 1, one.first_lba * sector_bytes, (one.last_lba - one.first_lba + 1) * sector_bytes) for one in found
    )


def without(head: bytes, sector_bytes: int, numbers: frozenset[int]) -> bytes:
    """The same head without these partitions; logical ones stay."""
    if mbr.is_in_force(head):
        return mbr.without(head, numbers)
    return gpt.without(head, sector_bytes, numbers)
