# SPDX-License-Identifier: Apache-2.0
"""What an ATA drive and a SCSI disk say of their sanitize: of a disk's sense, past the news for whoever asks first. And
how much an ATA drive hides.
"""

from __future__ import annotations

from agent.host.device_doors import Drives
from agent.model.erasing import ata, capacity, scsi

MOST_NEWS = 8
"""Each question takes one off: that it was switched on, that it was reset, that its settings were changed …"""


def ata_sanitize(drives: Drives, node: str) -> ata.SanitizeState | None:
    """`None` where it does not say. Raises `DeviceError`."""
    answer = drives.ata_sanitize_status(node)
    if answer is None:
        return None
    return ata.sanitize_state(answer.count, answer.lba_mid << 8 | answer.lba_low, answer.error)


def hidden_sectors(drives: Drives, node: str, raw: bytes) -> int:
    """Of a drive with these data of IDENTIFY, by the most that it says. Raises `DeviceError`, `DecodeError`."""
    reached = capacity.shown(raw)
    return max((reached, *capacities(drives, node, raw).values())) - reached


def capacities(drives: Drives, node: str, raw: bytes) -> dict[int, int]:
    """Sectors that it has by each of its features. What it does not answer (most have their configuration frozen by the
    firmware) hides nothing that is known of. Raises `DeviceError`, `DecodeError`.
    """
    found: dict[int, int] = {}
    for command in capacity.questions(raw):
        answer = drives.ata_capacity(node, command)
        if answer is None:
            continue
        if command == capacity.CONFIGURATION:
            found[command] = capacity.configured(answer.data)
        else:
            last = answer.lba_upper << 24 | answer.lba_high << 16 | answer.lba_mid << 8 | answer.lba_low
            found[command] = last + 1
    return found


def sanitize_sense(drives: Drives, node: str) -> scsi.SanitizeState | None:
    """What it says of its sanitize; `None` where it has no sense. Raises `DeviceError`, `DecodeError`."""
    found = None
    for _ in range(MOST_NEWS):
        raw = drives.scsi_sense(node)
        found = None if raw is None else scsi.sanitize_state(raw)
        if found is None or not found.is_news:
            break
    return found
