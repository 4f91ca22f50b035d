# SPDX-License-Identifier: Apache-2.0
"""Which partitions of a table are EFI system partitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from agent.errors import DecodeError
from agent.model import gpt, mbr
from agent.model.efi import GPT_KIND, MBR_KIND, PartitionPath

ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ESP_IN_MBR = 0xEF


def partitions(head: bytes, sector_bytes: int) -> Iterator[PartitionPath]:
    """The ESPs of the table that is in force. A disk without a table has none."""
    if mbr.is_in_force(head):
        number = head[mbr.DISK_NUMBER].ljust(16, b"\0")
        for record in mbr.parse(head) or ():
            if record.kind == ESP_IN_MBR:
                yield PartitionPath(record.slot + 1, record.first_lba, record.sectors, number, MBR_KIND)
        return
    try:
        table = gpt.parse(head, sector_bytes)
    except DecodeError:
        return
    for one in table.entries:
        if one.type_guid == ESP:
            sectors = one.last_lba - one.first_lba + 1
            yield PartitionPath(one.slot + 1, one.first_lba, sectors, one.guid.bytes_le, GPT_KIND)
