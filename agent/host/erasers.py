# SPDX-License-Identifier: Apache-2.0
"""The door by which drives are told to forget: NVMe Format and Sanitize, ATA and SCSI commands by SG_IO, BLKDISCARD.

Each order names one drive, by its node. What the orders mean, and when they may be given, `agent.apply.erasing` knows.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import DeviceError
from agent.host.drives import ATA_SANITIZE, NVME_ADMIN, NvmeCommand, ata_command, descriptor, left, scsi
from agent.model.erasing import capacity

FORMAT_NVM, SANITIZE_NVM = 0x80, 0x84
SCSI_SANITIZE = 0x48
BLKDISCARD = 0x1277  # include/uapi/linux/fs.h
BEGIN_TIMEOUT_S = 120.0
LONGEST_MS = 0xFFFFFFFE


class RealErasers:
    """`doors.Erasers` over ioctls."""

    def nvme_format(self, node: str, namespace: int, cdw10: int, timeout_s: float) -> None:
        """One admin command; the kernel looks at the namespace again when it is done."""
        command = NvmeCommand(opcode=FORMAT_NVM, namespace=namespace, cdw10=cdw10, timeout_ms=milliseconds(timeout_s))
        nvme_order(node, command, f"formatting the NVMe namespace {node}")

    def nvme_sanitize(self, node: str, cdw10: int) -> None:
        """It goes on in the background."""
        command = NvmeCommand(opcode=SANITIZE_NVM, cdw10=cdw10, timeout_ms=milliseconds(BEGIN_TIMEOUT_S))
        nvme_order(node, command, f"sanitizing the NVMe drive of {node}")

    def ata_sanitize(self, node: str, feature: int, key: int, count: int) -> None:
        """It goes on in the background."""
        cdb = ata_command(ATA_SANITIZE, feature, key, count=count)
        ata_order(node, cdb, b"", BEGIN_TIMEOUT_S, f"sanitizing the drive {node}")

    def ata_security(self, node: str, command: int, block: bytes, timeout_s: float) -> None:
        """With a sector to send, or without."""
        doing = f"giving the drive {node} the security command {command:#04x}"
        ata_order(node, ata_command(command, 0, 0, sends=bool(block)), block, timeout_s, doing)

    def ata_show(self, node: str, question: int, last: int) -> None:
        """By the order that belongs to the question. A drive takes it right behind the question only."""
        doing = f"letting the drive {node} show all of itself"
        for cdb in showing(question, last):
            ata_order(node, cdb, b"", BEGIN_TIMEOUT_S, doing)

    def scsi_sanitize(self, node: str, word: int) -> None:
        """It goes on in the background."""
        doing = f"sanitizing the disk {node}"
        cdb = bytes([SCSI_SANITIZE, word, 0, 0, 0, 0, 0, 0, 0, 0])
        sense = scsi(node, cdb, 0, doing, timeout_ms=milliseconds(BEGIN_TIMEOUT_S))[1]
        if sense:
            raise DeviceError(doing, f"it refused (sense {sense[:16].hex()})")

    def discard(self, node: str, offset_bytes: int, length_bytes: int) -> None:
        """The kernel cuts it into what the device takes at once."""
        with writable(node, f"discarding what is on {node}") as fd:
            fcntl.ioctl(fd, BLKDISCARD, struct.pack("=QQ", offset_bytes, length_bytes))


def showing(question: int, last: int) -> tuple[bytes, ...]:
    """The commands, one right behind the other."""
    match question:
        case capacity.READ_NATIVE_MAX:
            again = ata_command(capacity.READ_NATIVE_MAX, 0, 0)
            return again, ata_command(capacity.SET_MAX, 0, last, count=capacity.PERMANENT)
        case capacity.GET_NATIVE_MAX:
            return (ata_command(capacity.GET_NATIVE_MAX, capacity.BY_ACCESSIBLE, last),)
        case _:
            return (ata_command(capacity.CONFIGURATION, capacity.RESTORE, 0),)


def nvme_order(node: str, command: NvmeCommand, doing: str) -> None:
    """Raises `DeviceError` with the status, which says nothing else than that it was refused, or failed."""
    with writable(node, doing) as fd:
        status = fcntl.ioctl(fd, NVME_ADMIN, command)
    if status:
        raise DeviceError(doing, f"its status is {status:#06x}")


def ata_order(node: str, cdb: bytes, block: bytes, timeout_s: float, doing: str) -> None:
    """Raises `DeviceError` unless the registers say that it was done."""
    sense = scsi(node, cdb, 0, doing, send=block, timeout_ms=milliseconds(timeout_s))[1]
    found = left(sense, doing)
    if found is None or found.error:
        raise DeviceError(doing, f"the drive aborted it, or its adapter does not pass it on (sense {sense[:22].hex()})")


def milliseconds(seconds: float) -> int:
    """As much as the kernel's field holds."""
    return min(int(seconds * 1000), LONGEST_MS)


@contextmanager
def writable(node: str, doing: str) -> Iterator[int]:
    """A descriptor. Raises `DeviceError` also for what is done with it."""
    try:
        with descriptor(node, os.O_RDWR) as fd:
            yield fd
    except OSError as error:
        raise DeviceError(doing, f"{errno.errorcode.get(error.errno or 0, '?')}: {error.strerror}") from error
