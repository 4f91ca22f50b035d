# SPDX-License-Identifier: Apache-2.0
"""Looking into an NVMe drive's boot partitions, which whoever is root may write (Firmware Commit), and which neither
Format nor Sanitize erases (NVMe Base 2.0, sections 8.2 and 8.21). They are read, and never written.
"""

from __future__ import annotations

from agent.errors import DecodeError, DeviceError
from agent.host.doors import Host
from agent.model.erasing import nvme
from agent.model.plan import EraseDisk

PARTITIONS = (0, 1)
PIECE_BYTES = 4096
"""As much as every controller hands out at once."""
LARGEST_BYTES = 64 * 1024 * 1024
BLANK = (0x00, 0xFF)


def in_boot_partitions(host: Host, step: EraseDisk) -> str | None:
    """What speaks against calling the drive erased; `None` if it has none, or they are blank."""
    if step.boot_bytes is None:
        return "whether it has boot partitions, which nothing erases, could not be asked"
    if step.boot_bytes > LARGEST_BYTES:
        return f"its boot partitions, which nothing erases, have {step.boot_bytes} bytes each and were not looked at"
    try:
        for number in PARTITIONS:
            place = first_data(host, step.disk.path, number, step.boot_bytes)
            if place is not None:
                return f"its boot partition {number}, which nothing erases, holds something at byte {place}"
    except (DeviceError, DecodeError) as error:
        return f"its boot partitions, which nothing erases, could not be read: {error}"
    return None


def first_data(host: Host, node: str, number: int, size_bytes: int) -> int | None:
    """Where something begins that is neither zeroes nor ones. Raises `DeviceError`, `DecodeError`."""
    for start in range(0, size_bytes, PIECE_BYTES):
        piece = host.drives.nvme_boot_log(node, number, nvme.BOOT_HEAD_BYTES + start, PIECE_BYTES)
        if piece is None or len(piece) < PIECE_BYTES:
            raise DecodeError(f"reading boot partition {number} of {node}", f"it ends before byte {size_bytes}")
        if not any(piece.count(byte) == len(piece) for byte in BLANK):
            return start + next(at for at, byte in enumerate(piece) if byte not in BLANK or byte != piece[0])
    return None
