# SPDX-License-Identifier: Apache-2.0
"""Orders to forget as they go to a drive, byte by byte; a node that knows no such orders refuses each."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import DeviceError
from agent.host.device_doors import AtaAnswer, Erasers
from agent.host.drives import NvmeCommand, ata_command, left, registers, sense_told
from agent.host.erasers import RealErasers
from agent.model.erasing import ata, scsi
from tests.loops import loop

ORDERS: dict[str, Callable[[Erasers, str], None]] = {
    "nvme_format": lambda door, node: door.nvme_format(node, 1, 0x200, 5.0),
    "nvme_sanitize": lambda door, node: door.nvme_sanitize(node, 4),
    "ata_sanitize": lambda door, node: door.ata_sanitize(node, 0x12, 0x426B4572, 0x10),
    "ata_security": lambda door, node: door.ata_security(node, ata.SET_PASSWORD, ata.password_block(), 5.0),
    "ata_show": lambda door, node: door.ata_show(node, 0x27, 99),
    "scsi_sanitize": lambda door, node: door.scsi_sanitize(node, 2),
}


def test_a_sanitize_goes_out_whole() -> None:
    """ATA PASS-THROUGH (16), extended, without data, with the registers wanted; the key stands in the address in the
    order of SAT-4, table 174: 31:24, 7:0, 39:32, 15:8, 47:40, 23:16.
    """
    told = ata_command(0xB4, 0x0012, 0x426B4572, count=0x10)
    assert told.hex(" ") == "85 07 20 00 12 00 10 42 72 00 45 00 6b 00 b4 00"


def test_a_password_goes_out_with_its_sector() -> None:
    """PIO out, one block of 512 bytes to the drive."""
    assert ata_command(0xF1, 0, 0, sends=True).hex(" ") == "85 0a 26 00 00 00 01 00 00 00 00 00 00 00 f1 00"
    block = ata.password_block(ata.ENHANCED)
    assert (len(block), block[:2], block[2:34]) == (512, b"\x02\x00", ata.PASSWORD.ljust(32, b"\0"))


def sense(status: int, *, error: int = 0, count: int = 0, lba: bytes = bytes(3)) -> bytes:
    """Descriptor sense with the ATA status return descriptor (SAT-4, section 12.2.7)."""
    low, mid, high = lba
    told = bytes([9, 12, 1, error, *count.to_bytes(2), 0, low, 0, mid, 0, high, 0, status])
    return bytes([0x72, 1, 0, 0x1D, 0, 0, 0, len(told)]) + told


def test_registers() -> None:
    """As the drive left them; an abort, and what is no answer of a drive, are told apart from a fault of it."""
    assert registers(sense(0x50, count=0x4000, lba=b"\xcd\xab\0"), "asking") == AtaAnswer(
        count=0x4000, lba_low=0xCD, lba_mid=0xAB
    )
    assert registers(sense(0x51, error=4), "asking") is None
    assert registers(b"", "asking") is None and registers(bytes([0x70, 0, 5]) + bytes(15), "asking") is None
    with pytest.raises(DeviceError, match="reports a fault"):
        registers(sense(0x70), "asking")


def test_registers_of_an_abort() -> None:
    """What a drive aborted it says the reason of, which Linux tells in fixed format: SANITIZE STATUS EXT of a drive on
    which one has failed. A fault is one in this format, too; other sense has no registers.
    """
    fixed = bytes([0xF0, 0, 0x0B, 4, 0x51, 0x40, 0, 10, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    refusal = bytes([0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0])

    assert left(fixed, "asking") == AtaAnswer(lba_low=1, error=4) == left(sense(0x51, error=4, lba=b"\1\0\0"), "asking")
    assert registers(fixed, "asking") is None and left(refusal, "asking") is None and left(b"\x70", "asking") is None
    with pytest.raises(DeviceError, match="reports a fault"):
        left(fixed[:4] + b"\x71" + fixed[5:], "asking")


def test_answers_of_a_real_kernel() -> None:
    """Recorded of Debian's kernel and QEMU's SATA disk of 40 MiB: READ NATIVE MAX ADDRESS EXT, and the abort of
    SANITIZE STATUS EXT, which that disk does not have; and what QEMU's SCSI disk says of ATA PASS-THROUGH.
    """
    native = bytes.fromhex("7201001d0000000e090c0100000000ff003f00014050")
    aborted = bytes.fromhex("f0000b044100000a80000000000000000000")
    unknown = bytes.fromhex("700005000000000a00000000200000000000")

    assert registers(native, "asking") == AtaAnswer(lba_low=0xFF, lba_mid=0x3F, lba_high=1)
    assert 0x013FFF + 1 == 40 * 1024 * 1024 // 512
    assert left(aborted, "asking") == AtaAnswer(error=4) and registers(aborted, "asking") is None
    assert left(unknown, "asking") is None
    assert ata.sanitize_state(0, 0, 4) is None  # no reason: it has no sanitize


def test_sense_that_comes_as_a_failure() -> None:
    """It is the answer all the same: of a SATA disk, recorded as above, and of one on which a sanitize has failed. Of a
    disk that does not know the question there is none.
    """
    linux, failed = bytes.fromhex("700000000000000a0000000000000000"), bytes([0x70, 0, 3, 0, 0, 0, 0, 10] + [0] * 10)
    failed = failed[:12] + b"\x31\x03" + failed[14:]

    assert scsi.sanitize_state(sense_told(b"", linux) or b"").is_ready
    assert scsi.sanitize_state(sense_told(b"", failed) or b"").failed
    assert sense_told(b"data", b"") == b"data"
    assert sense_told(b"", bytes.fromhex("700005000000000a00000000200000000000")) is None


def test_the_kernels_structure() -> None:
    """struct nvme_passthru_cmd has 72 bytes: with another size the ioctl's number is another one."""
    assert ctypes.sizeof(NvmeCommand) == 72


@pytest.mark.root
@pytest.mark.parametrize("order", ORDERS)
def test_a_device_that_knows_none(tmp_path: Path, order: str) -> None:
    """Each is an error, with what was being done, and changes nothing."""
    (tmp_path / "disk").write_bytes(b"\xff" * 1024 * 1024)
    with loop(tmp_path, 1024 * 1024) as node:
        with pytest.raises(DeviceError, match=node):
            ORDERS[order](RealErasers(), node)
        assert (tmp_path / "disk").read_bytes() == b"\xff" * 1024 * 1024


def test_a_drive_that_is_gone() -> None:
    """Is an error, too."""
    with pytest.raises(DeviceError, match="ENOENT"):
        RealErasers().discard("/dev/nothing-of-that-name", 0, 512)
