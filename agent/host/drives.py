# SPDX-License-Identifier: Apache-2.0
"""The door to what disks say of themselves: NVMe admin commands, and SCSI and ATA commands by SG_IO.

Only questions are asked here, of a node that is opened for reading: udev hears nothing of it. `erasers.py` gives
the orders, and sends some of them by `scsi`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import DeviceError
from agent.host.device_doors import AtaAnswer

TIMEOUT_MS = 60_000
"""What the kernel itself has for such commands. When it is over the kernel resets the controller (nvme_timeout,
scsi_error_handler), under everybody else's requests: who cannot wait so long leaves the thread behind.
"""
NVME_ADMIN = 0xC0484E41  # _IOWR('N', 0x41, struct nvme_passthru_cmd), linux/nvme_ioctl.h
IDENTIFY, GET_LOG_PAGE, BOOT_PAGE = 0x06, 0x02, 0x15
ALL_NAMESPACES = 0xFFFFFFFF
IDENTIFY_BYTES = 4096
NVME_NOT_KNOWN = frozenset({0x01, 0x02, 0x0B, 0x109})
"""Status: invalid opcode, field, namespace or log page (NVMe Base 2.0, figures 95 and 97)."""
SG_IO = 0x2285
FROM_DEVICE, TO_DEVICE, NO_DATA = -3, -2, -1
SENSE_BYTES, SECTOR_BYTES, LOG_BYTES = 64, 512, 4096
REQUEST_SENSE, LOG_SENSE, ATA_16 = 0x03, 0x4D, 0x85
REPORT_SUPPORTED, SUPPORTED_BYTES, OF_ONE_ACTION = (0xA3, 0x0C), 64, 0b010
ATA_SANITIZE, SANITIZE_STATUS = 0xB4, 0x0000
ATA_IDENTIFY, ATA_SMART = 0xEC, 0xB0
ATA_NATIVE = frozenset({0x27, 0x78})
ATA_BY_ADDRESS = ATA_NATIVE | {0x37}
ATA_CONFIGURATION, CONFIGURATION_IDENTIFY = 0xB1, 0xC2
BY_LBA = 0x40
SMART_STATUS = 0xDA
SMART_QUESTIONS = frozenset({0xD0, 0xD1, 0xD5, SMART_STATUS})
"""Data, thresholds, a log, status. Others begin self-tests, or switch SMART off (ACS-3, section 7.48)."""
SMART_MID, SMART_HIGH = 0x4F, 0xC2
PIO_IN, PIO_OUT, NON_DATA, EXTENDED = 4 << 1, 5 << 1, 3 << 1, 1
ONE_SECTOR, ONE_SECTOR_OUT, WANT_REGISTERS = 0x0E, 0x06, 0x20
ATA_ERROR, ATA_FAULT = 0x01, 0x20
CHECK_CONDITION = 0x02
ILLEGAL_REQUEST, ABORTED = 0x05, 0x0B
FIXED_SENSE, DESCRIPTOR_SENSE, ATA_DESCRIPTOR = 0x70, 0x72, 0x09


class NvmeCommand(ctypes.Structure):
    """struct nvme_passthru_cmd."""

    _fields_ = (
        ("opcode", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint16),
        ("namespace", ctypes.c_uint32),
        ("cdw2", ctypes.c_uint32),
        ("cdw3", ctypes.c_uint32),
        ("metadata", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("metadata_length", ctypes.c_uint32),
        ("data_length", ctypes.c_uint32),
        ("cdw10", ctypes.c_uint32),
        ("cdw11", ctypes.c_uint32),
        ("cdw12", ctypes.c_uint32),
        ("cdw13", ctypes.c_uint32),
        ("cdw14", ctypes.c_uint32),
        ("cdw15", ctypes.c_uint32),
        ("timeout_ms", ctypes.c_uint32),
        ("result", ctypes.c_uint32),
    )


class ScsiRequest(ctypes.Structure):
    """struct sg_io_hdr (scsi/sg.h)."""

    _fields_ = (
        ("interface", ctypes.c_int),
        ("direction", ctypes.c_int),
        ("command_length", ctypes.c_ubyte),
        ("sense_room", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("data_length", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("command", ctypes.c_void_p),
        ("sense", ctypes.c_void_p),
        ("timeout_ms", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("message_status", ctypes.c_ubyte),
        ("sense_written", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("residue", ctypes.c_int),
        ("duration_ms", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


class RealDrives:
    """`doors.Drives` over ioctls."""

    def nvme_identify(self, node: str, structure: int, namespace: int = 0) -> bytes | None:
        """Identify."""
        command = NvmeCommand(opcode=IDENTIFY, namespace=namespace, cdw10=structure)
        return nvme(node, command, IDENTIFY_BYTES, f"asking {node} what it is (NVMe identify, CNS {structure:#x})")

    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """Get Log Page; the length is told in double words, from zero."""
        cdw10 = page | (length // 4 - 1) << 16
        command = NvmeCommand(opcode=GET_LOG_PAGE, namespace=ALL_NAMESPACES, cdw10=cdw10)
        return nvme(node, command, length, f"asking {node} for its NVMe log page {page:#04x}")

    def nvme_boot_log(self, node: str, number: int, offset_bytes: int, length: int) -> bytes | None:
        """Get Log Page, whose specific field is the partition's number, from an offset."""
        cdw10 = BOOT_PAGE | number << 8 | (length // 4 - 1) << 16
        command = NvmeCommand(opcode=GET_LOG_PAGE, namespace=ALL_NAMESPACES, cdw10=cdw10, cdw12=offset_bytes)
        return nvme(node, command, length, f"asking {node} for its boot partition {number}")

    def ata_identify(self, node: str) -> bytes | None:
        """IDENTIFY DEVICE."""
        answer = ata(node, ATA_IDENTIFY, 0, f"asking {node} what it is (ATA identify)")
        return None if answer is None else answer.data

    def ata_smart(self, node: str, feature: int, log: int = 0) -> AtaAnswer | None:
        """SMART."""
        doing = f"asking {node} how it is (ATA SMART {feature:#04x})"
        if feature not in SMART_QUESTIONS:
            raise DeviceError(doing, "this is no question, but would change something")
        return ata(node, ATA_SMART, feature, doing, log)

    def ata_capacity(self, node: str, command: int) -> AtaAnswer | None:
        """With the one feature of each that only asks."""
        doing = f"asking {node} how large it was made (ATA {command:#04x})"
        if command == ATA_CONFIGURATION:
            return ata(node, command, CONFIGURATION_IDENTIFY, doing)
        if command not in ATA_NATIVE:
            raise DeviceError(doing, "this is no question, but would change something")
        return registers(scsi(node, ata_command(command, 0, 0), 0, doing)[1], doing)

    def scsi_log(self, node: str, page: int) -> bytes | None:
        """LOG SENSE: page control 1 is the cumulative values."""
        cdb = bytes([LOG_SENSE, 0, 0x40 | page, 0, 0, 0, 0, *LOG_BYTES.to_bytes(2), 0])
        data, sense = scsi(node, cdb, LOG_BYTES, f"asking {node} for its SCSI log page {page:#04x}")
        return data if not sense else None

    def ata_sanitize_status(self, node: str) -> AtaAnswer | None:
        """A command without data: what it says is in the registers."""
        doing = f"asking {node} how its sanitize is (ATA)"
        cdb = ata_command(ATA_SANITIZE, SANITIZE_STATUS, 0)
        return left(scsi(node, cdb, 0, doing)[1], doing)

    def scsi_supports(self, node: str, opcode: int, action: int) -> bytes | None:
        """Of one command with one service action."""
        cdb = bytes([*REPORT_SUPPORTED, OF_ONE_ACTION, opcode, *action.to_bytes(2), *SUPPORTED_BYTES.to_bytes(4), 0, 0])
        doing = f"asking {node} whether it has the SCSI command {opcode:#04x}/{action:#04x}"
        data, sense = scsi(node, cdb, SUPPORTED_BYTES, doing)
        return data if not sense else None

    def scsi_sense(self, node: str) -> bytes | None:
        """DESC is set: a disk that does not have descriptors ignores it, or says so."""
        cdb = bytes([REQUEST_SENSE, 1, 0, 0, SENSE_BYTES, 0])
        data, sense = scsi(node, cdb, SENSE_BYTES, f"asking {node} for its SCSI sense", is_about_sense=True)
        return sense_told(data, sense)


def nvme(node: str, command: NvmeCommand, length: int, doing: str) -> bytes | None:
    """An admin command that reads. Raises `DeviceError`."""
    room = ctypes.create_string_buffer(length)
    command.address, command.data_length, command.timeout_ms = ctypes.addressof(room), length, TIMEOUT_MS
    with opened(node, doing) as fd:
        status = fcntl.ioctl(fd, NVME_ADMIN, command)
    if status and status & 0x7FF in NVME_NOT_KNOWN:
        return None
    if status:
        raise DeviceError(doing, f"its status is {status:#06x}")
    return room.raw


def ata(node: str, command: int, feature: int, doing: str, log: int = 0) -> AtaAnswer | None:
    """By ATA PASS-THROUGH (16) (SAT-4, section 12.2.3). Raises `DeviceError`."""
    reads_data = not (command == ATA_SMART and feature == SMART_STATUS)
    is_smart = command == ATA_SMART
    cdb = bytes(
        [
            ATA_16,
            PIO_IN if reads_data else NON_DATA,
            ONE_SECTOR if reads_data else WANT_REGISTERS,
            *(0, feature, 0, int(reads_data), 0, log, 0, SMART_MID if is_smart else 0, 0),
            *(SMART_HIGH if is_smart else 0, 0, command, 0),
        ]
    )
    data, sense = scsi(node, cdb, SECTOR_BYTES if reads_data else 0, doing)
    if reads_data:
        return AtaAnswer(data) if not sense else None
    if sense[:1] != bytes([DESCRIPTOR_SENSE]) or sense[8:9] != bytes([ATA_DESCRIPTOR]) or len(sense) < 22:
        return None
    return AtaAnswer(lba_mid=sense[17], lba_high=sense[19])


def ata_command(command: int, feature: int, lba: int, *, count: int = 0, sends: bool = False) -> bytes:
    """ATA PASS-THROUGH (16) of a command without data, or with a sector to send; Sanitize's are of 48 bits.
    The registers are asked for: they say whether the drive did it.
    """
    low, high = lba.to_bytes(6, "little")[:3], lba.to_bytes(6, "little")[3:]
    pairs = [byte for pair in zip(high, low, strict=True) for byte in pair]
    protocol = (PIO_OUT if sends else NON_DATA) | (EXTENDED if command in {ATA_SANITIZE, *ATA_BY_ADDRESS} else 0)
    device = BY_LBA if command in ATA_BY_ADDRESS else 0
    transfer = (ONE_SECTOR_OUT if sends else 0) | WANT_REGISTERS
    return bytes([ATA_16, protocol, transfer, *feature.to_bytes(2), 0, count or int(sends), *pairs, device, command, 0])


def registers(sense: bytes, doing: str) -> AtaAnswer | None:
    """As the drive left them; `None` where it aborted the command, or the adapter brings none through. Raises
    `DeviceError`.
    """
    found = left(sense, doing)
    return None if found is None or found.error else found


def left(sense: bytes, doing: str) -> AtaAnswer | None:
    """The registers, also of a command that was aborted: these Linux tells in fixed format, unless the disk's mode page
    asks for descriptors (libata-scsi.c, ata_scsi_set_passthru_sense_fields; SAT-5, section 12.2.2). `None` where there
    are none. Raises `DeviceError` for a fault.
    """
    if sense[:1] == bytes([DESCRIPTOR_SENSE]) and sense[8:9] == bytes([ATA_DESCRIPTOR]) and len(sense) >= 22:
        status, error, count = sense[21], sense[11], int.from_bytes(sense[12:14])
        low, mid, high = sense[15], sense[17], sense[19]
        upper = int.from_bytes([sense[14], sense[16], sense[18]], "little")
    elif sense[:1] and sense[0] & 0x7F == FIXED_SENSE and len(sense) >= 12 and sense[4] & (ATA_ERROR | ATA_FAULT):
        error, status, count = sense[3], sense[4], sense[6]
        (low, mid, high), upper = sense[9:12], 0
    else:
        return None
    if status & ATA_FAULT:
        raise DeviceError(doing, f"the drive reports a fault (status {status:#04x}, error {error:#04x})")
    failed = error if status & ATA_ERROR else 0
    return AtaAnswer(count=count, lba_low=low, lba_mid=mid, lba_high=high, lba_upper=upper, error=failed)


def scsi(
    node: str,
    cdb: bytes,
    length: int,
    doing: str,
    *,
    send: bytes = b"",
    timeout_ms: int = TIMEOUT_MS,
    is_about_sense: bool = False,
) -> tuple[bytes, bytes]:
    """Data and sense of a command; with sense there are no data. It reads `length` bytes, or sends some, or neither.
    Raises `DeviceError`.
    """
    room = ctypes.create_string_buffer(send, len(send)) if send else ctypes.create_string_buffer(length or 1)
    sense = ctypes.create_string_buffer(SENSE_BYTES)
    command = ctypes.create_string_buffer(cdb, len(cdb))
    request = ScsiRequest(
        interface=ord("S"),
        direction=TO_DEVICE if send else FROM_DEVICE if length else NO_DATA,
        command_length=len(cdb),
        sense_room=SENSE_BYTES,
        data_length=len(send) or length,
        data=ctypes.addressof(room) if length or send else None,
        command=ctypes.addressof(command),
        sense=ctypes.addressof(sense),
        timeout_ms=timeout_ms,
    )
    with opened(node, doing) as fd:
        fcntl.ioctl(fd, SG_IO, request)
    if request.host_status:
        raise DeviceError(doing, f"the host adapter's status is {request.host_status:#x}")
    if request.status == CHECK_CONDITION:
        return b"", judged(sense.raw[: request.sense_written], bool(length) and not is_about_sense, doing)
    if request.status:
        raise DeviceError(doing, f"its SCSI status is {request.status:#04x}")
    return room.raw[: length - max(0, request.residue)], b""


def judged(sense: bytes, wants_data: bool, doing: str) -> bytes:
    """The sense, where it says "no such command", or has registers that were asked for. Raises `DeviceError`."""
    if len(sense) < 8:
        raise DeviceError(doing, "it failed without saying why")
    key = sense_key(sense)
    if wants_data and key not in (ILLEGAL_REQUEST, ABORTED):  # ATA aborts what it does not know
        raise DeviceError(doing, f"its sense key is {key:#x} (sense {sense[:16].hex()})")
    return sense


def sense_told(data: bytes, sense: bytes) -> bytes | None:
    """By REQUEST SENSE. Some answer it as they answer all else, by a failure that has the sense; Linux does so for ATA
    drives (libata-scsi.c, ata_scsi_simulate). `None` where the disk does not know the question.
    """
    if not sense:
        return data
    return None if sense_key(sense) == ILLEGAL_REQUEST else sense


def sense_key(sense: bytes) -> int:
    """In either format."""
    return (sense[1] if sense[0] & 0x7F >= DESCRIPTOR_SENSE else sense[2]) & 0x0F


@contextmanager
def opened(node: str, doing: str) -> Iterator[int]:
    """For reading. A node whose driver does not have such commands (virtio) says ENOTTY: raises `DeviceError`."""
    try:
        with descriptor(node, os.O_RDONLY) as fd:
            yield fd
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EPERM:
            why += " (drive commands need root, or CAP_SYS_RAWIO)"
        raise DeviceError(doing, why) from error


@contextmanager
def descriptor(node: str, flags: int) -> Iterator[int]:
    """Of a device, without waiting for a medium; closed at the end. Raises `OSError`."""
    fd = os.open(node, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
