# SPDX-License-Identifier: Apache-2.0
"""What devices say of themselves: firmware's tables, drives, NICs and their modules, TPM, BMC."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from agent.errors import DeviceError
from agent.host import smbios
from agent.host.doors import Host
from agent.host.drives import judged
from agent.host.fake import FakeHost
from agent.host.udev import database, uevent
from agent.inventory.bmc import bmc
from agent.inventory.disk import disk
from agent.inventory.disk_names import unit_serial
from agent.link.ironic.dmi import dmi
from agent.model.efi import GPT_KIND, PartitionPath, decode_option, decode_order, leads_to, shown
from agent.model.erasing import Means
from agent.model.erasing import ata as ata_erasing
from agent.model.erasing import nvme as nvme_erasing
from agent.model.erasing import scsi as scsi_erasing
from agent.model.fact import Unknown
from agent.model.hardware import ata, ethtool, nvme, scsi, self_test, tpm
from agent.model.hardware.transceiver import transceiver
from agent.plan.boot import rows as rows_of_list
from tests.efi import RECORDED
from tests.fuzz.row import Row
from tests.host.test_smbios import TABLE
from tests.machines import synthetic
from tests.machines.firmware import ENTRY_POINT
from tests.model.hardware import answers

PAGE_80 = b"\0\x80\0\x08S1-12345"
SENSE = (bytes.fromhex("720100000000000e090c00") + bytes(11), bytes.fromhex("70000500000000180000000020000000"))
"""Registers, as they were asked for; and "no such command", in the fixed format."""
LIST = "shimx64.efi,debian,,This is the boot entry\n".encode("utf-16")
RECORDED_MACHINE = FakeHost.load(synthetic.HERE / "qemu-q35")
PROPERTIES = [
    "\0".join(f"{key}={value}" for key, value in one.items()).encode()
    for one in RECORDED_MACHINE.udev.block_devices().values()
]


def tables(raw: bytes) -> object:
    """As an inventory and as Ironic's inspection read them."""
    return smbios.parse(raw), dmi(smbios.structures(raw))


def recorded_tables() -> list[bytes]:
    """Of firmware, and with a structure of each kind."""
    return [RECORDED_MACHINE.files.read_bytes(smbios.TABLES), TABLE]


def boot_entry(raw: bytes) -> object:
    """It is written again as it was read, and leads nowhere that it does not say."""
    assert isinstance(shown(raw), str)
    found = decode_option(raw)
    assert found.encode()[:6] == raw[:6] and decode_option(found.encode()) == found
    assert not leads_to(found, PartitionPath(1, 0, 0, bytes(16), GPT_KIND), "x"), "by accident"
    return shown(found.path)


class Talkative:
    """A BMC that says these bytes: each answer is behind its length."""

    def __init__(self, raw: bytes) -> None:
        self._rest = raw

    def is_there(self) -> bool:
        """It is."""
        return True

    def ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """Whatever it was asked."""
        length = self._rest[0] if self._rest else 0
        answer, self._rest = self._rest[1 : 1 + length], self._rest[1 + length :]
        return answer


def controller(raw: bytes) -> object:
    """The BMC's addresses."""
    return bmc(cast(Host, SimpleNamespace(ipmi=Talkative(raw))))


def spoken(*said: bytes) -> bytes:
    """Answers."""
    return b"".join(bytes([len(one)]) + one for one in said)


V6 = bytes.fromhex("20010db8" + "00" * 11 + "05")
BMC = spoken(
    b"\0\x11\n\0\0\5",  # an address
    b"\0\x11\2",  # both versions are on
    b"\0\x11\1\1\0",  # so many of each kind
    b"\0\x11\0\1" + V6 + b"@\0",
    b"\0\x11\x52\x54\0\1\2\3",  # a MAC
    b"\0\x20\1\2\x34",  # firmware
)


def udev(raw: bytes) -> object:
    """A disk of which udev says this. It is known to hold something, or not to be known."""
    pairs = (line.partition("=") for line in raw.decode(errors="replace").split("\0"))
    told = {name: value for name, _, value in pairs}
    RECORDED_MACHINE.faults.calls.clear()  # the fake remembers what it was asked: of a million inputs that is gigabytes
    found = disk(RECORDED_MACHINE.files, "vda", {"vda": told}, [])
    assert isinstance(found.contents, Unknown) == ("USEC_INITIALIZED" not in told)
    return found


def serial_page(raw: bytes) -> object:
    """VPD page 0x80, as sysfs has it."""
    return unit_serial(cast(Any, SimpleNamespace(exists=lambda _: True, read_bytes=lambda _: raw)), "vpd_pg80")


def of(read: Callable[[bytes], object], *samples: bytes) -> Row:
    """A row of few samples."""
    return Row(read, lambda: samples)


ROWS = {
    "smbios": Row(tables, recorded_tables),
    "smbios entry point": of(smbios.version, ENTRY_POINT),
    "efi boot entry": of(boot_entry, *RECORDED.values()),
    "efi boot order": of(decode_order, b"\3\0\1\0\0\0"),
    "efi boot list": of(lambda raw: rows_of_list("/EFI/debian/BOOTX64.CSV", raw), LIST),
    "nvme controller": of(nvme.controller, answers.nvme_controller()),
    "nvme namespace": of(lambda raw: nvme.namespace(raw, 1), answers.nvme_namespace(), answers.nvme_namespace(used=1)),
    "nvme list": of(nvme.active_namespaces, answers.nvme_list(1, 2, 7)),
    "nvme health": of(nvme.health, answers.nvme_health(), answers.nvme_health(warning=0b1001)),
    "ata identity": of(ata.identity, answers.ata_identity(), answers.ata_identity(rpm=1, security=7)),
    "ata attributes": of(
        lambda raw: ata.health(True, ata.attributes(raw), {5: 10}),
        answers.ata_attributes((5, 1, 100, 0), (9, 0, 90, 7)),
    ),
    "nvme powers": of(nvme_erasing.powers, answers.nvme_controller()),
    "nvme format": of(
        lambda raw: nvme_erasing.format_word(raw, Means.NVME_FORMAT_ERASE), answers.nvme_namespace(used=1)
    ),
    "nvme sanitize log": of(nvme_erasing.sanitize_status, bytes.fromhex("ff3f02000400000000").ljust(512, b"\0")),
    "ata security": of(ata_erasing.security, answers.ata_identity(security=7)),
    "scsi sanitize sense": of(
        scsi_erasing.sanitize_state,
        bytes.fromhex("7202041b00000008020600008040 0000"),
        bytes.fromhex("700002000000000a00000000041b00804000"),
    ),
    "nvme self-tests": of(self_test.of_nvme, answers.nvme_self_tests((0x17, 900, 4711), (0x20, 700, None))),
    "ata self-tests": of(self_test.of_ata, answers.ata_self_tests((0x02, 0x70, 500, 9), (0x01, 0, 600, 0), newest=2)),
    "scsi self-tests": of(
        lambda raw: self_test.of_scsi(scsi.parameters(raw, self_test.SCSI_PAGE)),
        answers.scsi_page(self_test.SCSI_PAGE, (1, bytes([2 << 5 | 7, 1, 1, 44, *range(12)])), (2, bytes(16))),
    ),
    "ata thresholds": of(ata.thresholds, answers.ata_thresholds((5, 10))),
    "scsi pages": of(scsi.supported, answers.scsi_pages(0, 0x0D, 0x2F)),
    "scsi page": of(
        lambda raw: scsi.health({0x0D: scsi.parameters(raw, 0x0D)}),
        answers.scsi_page(0x0D, (0, b"\0\x1f"), (1, b"\0\x3c")),
    ),
    "scsi sense": Row(lambda raw: judged(raw, False, "asking"), lambda: SENSE, (DeviceError,)),
    "scsi serial page": of(serial_page, PAGE_80),
    "udev's files": of(lambda raw: uevent(raw) | database(raw), b"I:1\nS:disk/by-id/a\nG:b\nE:C=d\nDEVNAME=sda\n"),
    "udev properties": Row(udev, lambda: PROPERTIES),
    "transceiver": of(transceiver, answers.sfp(), answers.sfp(diagnosed=False), answers.qsfp(), answers.cmis()),
    "ethtool driver": of(ethtool.driver, answers.driver_info()),
    "ethtool link": of(ethtool.link, answers.link_settings()),
    "ethtool words": of(ethtool.words, ethtool.ask_link()[:15] + b"\xfd" + ethtool.ask_link()[16:]),
    "ethtool module": of(ethtool.module, ethtool.ask_module()),
    "ethtool eeprom": of(ethtool.eeprom, ethtool.ask_eeprom(256)),
    "tpm properties": of(lambda raw: tpm.described(tpm.properties(raw)), answers.tpm_properties()),
    "tpm public": of(tpm.public, answers.tpm_public(0x01C00002, 900)),
    "tpm piece": of(tpm.piece, answers.tpm_piece(b"abc")),
    "tpm certificate": of(lambda raw: tpm.certificate("rsa2048", raw), answers.certificate()),
    "ipmi": of(controller, BMC),
}
