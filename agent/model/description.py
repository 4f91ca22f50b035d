# SPDX-License-Identifier: Apache-2.0
"""What an image says of itself, and how that is found out from its first bytes. Pure."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent.errors import DecodeError
from agent.model import gpt, mbr
from agent.model.disk import GB

EFI_SYSTEM_GUID = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
EFI_SYSTEM_KIND = 0xEF
BOOT_CODE_BYTES = 440
"""Before the disk's signature and the four records (UEFI 2.10, table 5.1)."""


class Description(BaseModel):
    """Facts about an image. Those that a newer packer adds are ignored: none of them is an order."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sector_bytes: int | None = Field(default=None, description="for disks with these sectors; left out without a GPT")
    firmware: tuple[str, ...] = Field(default=(), description="what can boot it: uefi, bios")
    min_disk_gb: int | None = Field(default=None, description="the smallest disk, in GB of 10^9 bytes")
    os: str | None = None


def describe(head: bytes, disk_bytes: int, os: str | None = None) -> Description:
    """By the first MiB: an EFI system partition boots by UEFI, boot code in the first sector by BIOS; or both."""
    by_mbr = mbr.is_in_force(head)
    sector_bytes = None if by_mbr else gpt.sector_bytes_of(head)
    has_esp = any(record.kind == EFI_SYSTEM_KIND for record in mbr.parse(head) or ()) if by_mbr else False
    if sector_bytes is not None:
        has_esp = any(kind == EFI_SYSTEM_GUID for kind in kinds(head, sector_bytes))
    firmware = (*(("uefi",) if has_esp else ()), *(("bios",) if any(head[:BOOT_CODE_BYTES]) else ()))
    return Description(sector_bytes=sector_bytes, firmware=firmware, min_disk_gb=-(-disk_bytes // GB), os=os)


def kinds(head: bytes, sector_bytes: int) -> list[UUID]:
    """The types of a GPT's partitions; none if the table is damaged."""
    try:
        return [entry.type_guid for entry in gpt.parse(head, sector_bytes).entries]
    except DecodeError:
        return []
