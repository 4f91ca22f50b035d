# SPDX-License-Identifier: Apache-2.0
"""The doors to devices: the numbers and structures that the kernel is given, and that none can change anything."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import DeviceError
from agent.host.drives import NVME_ADMIN, TIMEOUT_MS, NvmeCommand, RealDrives, ScsiRequest, judged
from agent.host.ethtool import RealEthtool
from agent.host.tpm import RealTpm
from agent.model.hardware import ethtool, tpm
from tests.loops import loop


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the numbers are those of 64 bits")
def test_structures_of_the_kernel() -> None:
    """Their sizes and the places of what the kernel fills in are those of its headers."""
    assert ctypes.sizeof(NvmeCommand) == 72 == NVME_ADMIN >> 16 & 0x3FFF
    assert [NvmeCommand.address.offset, NvmeCommand.cdw10.offset, NvmeCommand.timeout_ms.offset] == [24, 40, 64]
    assert ctypes.sizeof(ScsiRequest) == 88
    assert [ScsiRequest.data.offset, ScsiRequest.status.offset, ScsiRequest.host_status.offset] == [16, 64, 68]


def test_questions_only() -> None:
    """A command that would set something is not sent: ETHTOOL_SSET, TPM2_Clear, SMART DISABLE OPERATIONS."""
    with pytest.raises(DeviceError, match="no question"):
        RealDrives().ata_smart("/dev/null", 0xD9)
    with pytest.raises(DeviceError, match="no question"):
        RealEthtool()("lo", (2).to_bytes(4, "little") + bytes(40))
    with pytest.raises(DeviceError, match="no question"):
        RealTpm().ask(bytes.fromhex("80010000000a00000126"))


def test_nobody_is_reset_for_being_slow() -> None:
    """The kernel resets a controller whose command is not done in time, be it an hourly question: so it has the time
    that the kernel gives its own (NVME_ADMIN_TIMEOUT, 60 s).
    """
    assert TIMEOUT_MS >= 60_000


def test_sense() -> None:
    """A disk that does not know a command says so, in either format; any other sense is an error."""
    fixed = bytes([0x70, 0, 5, *bytes(15)])
    descriptor = bytes([0x72, 5, *bytes(6)])

    assert judged(fixed, True, "asking") == fixed and judged(descriptor, True, "asking") == descriptor
    with pytest.raises(DeviceError, match="sense key is 0x3"):
        judged(bytes([0x70, 0, 3, *bytes(15)]), True, "asking")
    with pytest.raises(DeviceError, match="without saying why"):
        judged(b"", True, "asking")


def test_the_loopback_link() -> None:
    """A driver without firmware, modes or modules is answered for by the kernel; no link is an error."""
    door = RealEthtool()
    answer = door("lo", ethtool.ask_driver())

    assert answer is None or ethtool.driver(answer).firmware == ""
    assert door("lo", ethtool.ask_module()) is None
    with pytest.raises(DeviceError, match="none-such"):
        door("none-such", ethtool.ask_driver())


def test_a_machine_without_a_tpm() -> None:
    """Asking it names the command."""
    door = RealTpm()
    if door.is_there():
        pytest.skip("this machine has a TPM")
    with pytest.raises(DeviceError, match=r"0x17a.*No such file"):
        door.ask(tpm.ask_properties())


@pytest.mark.root
def test_a_disk_without_such_commands(tmp_path: Path) -> None:
    """A loop device knows neither NVMe nor SCSI: that is said, and nothing else happens to it."""
    with loop(tmp_path, 1 << 20) as node:
        door = RealDrives()
        asked: list[Callable[[], object]] = [
            lambda: door.nvme_identify(node, 1),
            lambda: door.ata_identify(node),
            lambda: door.scsi_log(node, 0x0D),
        ]
        for ask in asked:
            with pytest.raises(DeviceError, match=node):
                ask()
