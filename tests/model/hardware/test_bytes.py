# SPDX-License-Identifier: Apache-2.0
"""Bytes of devices: what is known of them is read as it was meant."""

from __future__ import annotations

from hashlib import sha256

import pytest

from agent.errors import DecodeError
from agent.model.hardware import ata, ethtool, nvme, scsi, tpm
from agent.model.hardware.disk import DiskHealth, LbaFormat
from agent.model.hardware.transceiver import transceiver
from agent.model.lldp import neighbour
from tests.model.hardware import answers


def test_nvme() -> None:
    """Names without padding, the version in three, the largest numbers in 16 bytes, both formats."""
    controller, namespace = nvme.controller(answers.nvme_controller()), nvme.namespace(answers.nvme_namespace(), 1)

    assert (controller.serial, controller.model, controller.version) == ("S4EVNX0R123456", "ACME NVMe 1TB", "1.4.0")
    assert (controller.capacity_bytes, controller.firmware_slots, controller.most_namespaces) == (1000204886016, 3, 32)
    assert (
        namespace.size_bytes == 1953525168 * 512 and namespace.eui64 == "0025385b71b0ac11" and namespace.nguid is None
    )
    assert namespace.formats == (LbaFormat(data_bytes=512, performance=2, is_used=True), LbaFormat(data_bytes=4096))
    assert nvme.namespace(answers.nvme_namespace(used=1), 1).size_bytes == 1953525168 // 8 * 4096
    assert nvme.active_namespaces(answers.nvme_list(1, 2, 7)) == (1, 2, 7)


def test_nvme_health() -> None:
    """Kelvin become degrees, data units bytes; any warning is a verdict."""
    good, bad = nvme.health(answers.nvme_health()), nvme.health(answers.nvme_health(warning=0b1001))

    assert good == DiskHealth(
        passed=True, temperature_celsius=38, power_on_hours=12345, power_cycles=33, unsafe_shutdowns=4, used_percent=7,
        spare_percent=100, spare_threshold_percent=10, read_bytes=1_024_000_000, written_bytes=512_000_000,
        media_errors=0, logged_errors=9,
    )  # fmt: skip
    assert bad.passed is False and bad.warnings == ("spare below threshold", "read only")


def test_ata() -> None:
    """Exchanged letters are put right; 1 does not turn; a password locks."""
    found = ata.identity(answers.ata_identity())

    assert (found.serial, found.firmware, found.model) == ("WD-WX11A23B4567", "80.00A80", "WDC WD4003FFBX-68MU3N0")
    assert (found.rotation_rpm, found.form_factor_inches, found.link_gbps) == (7200, 3.5, 6.0)
    assert found.has_smart and not found.is_locked
    assert ata.identity(answers.ata_identity(rpm=1, security=7)).rotation_rpm == 0
    assert ata.identity(answers.ata_identity(rpm=1, security=7)).is_locked


def test_ata_health() -> None:
    """Counters are named; an attribute that has come down to its limit outvotes the disk's own verdict."""
    found = ata.attributes(
        answers.ata_attributes(
            (5, 3, 10, 812), (9, 2, 90, 0xABCD00001234), (194, 2, 60, 0x2D0013002A), (197, 2, 100, 3)
        )
    )
    limits = ata.thresholds(answers.ata_thresholds((5, 10), (9, 0)))
    health = ata.health(ata.passed((0x4F, 0xC2)), found, limits)

    assert health.passed is False and health.warnings == ("attribute 5 is at 10, its limit",)
    assert (health.reallocated_sectors, health.pending_sectors, health.temperature_celsius) == (812, 3, 42)
    assert health.power_on_hours == 0x1234
    assert [ata.passed(each) for each in ((0x4F, 0xC2), (0xF4, 0x2C), (0, 0))] == [True, False, None]
    assert ata.health(True, found, {}).passed is True


def test_scsi() -> None:
    """Pages by code; a prediction of failure is a verdict; without pages nothing is known."""
    pages = {
        page: scsi.parameters(answers.scsi_page(page, *parameters), page)
        for page, parameters in {
            scsi.TEMPERATURE: [(0, b"\0\x1f")],
            scsi.READ_ERRORS: [(5, (10**12).to_bytes(8)), (6, (2).to_bytes(8))],
            scsi.BACKGROUND: [(0, (6000).to_bytes(4) + bytes(11))],
            scsi.EXCEPTIONS: [(0, b"\x5d\x10\x1f")],
            scsi.SOLID_STATE: [(1, b"\0\0\0\x05")],
        }.items()
    }
    health = scsi.health(pages)

    assert health is not None and health.passed is False and "0x5d/0x10" in health.warnings[0]
    assert (health.temperature_celsius, health.power_on_hours, health.used_percent) == (31, 100, 5)
    assert (health.read_bytes, health.media_errors, health.written_bytes) == (10**12, 2, None)
    assert scsi.health({}) is None


def test_scsi_pages() -> None:
    """Which log pages there are; a page that is cut, or another one, is damaged."""
    assert scsi.supported(answers.scsi_pages(0, 0x0D, 0x2F)) == {0, 0x0D, 0x2F}
    for wrong in (b"", answers.scsi_pages(0, 0x0D)[:-1], answers.scsi_page(0x0D, (0, b"\0\x1f"))):
        with pytest.raises(DecodeError, match="log page 0x00"):
            scsi.supported(wrong)


def test_modules() -> None:
    """Three standards; power where the module measures it; a copper cable has a length and no wavelength."""
    small, cable, large = (transceiver(raw) for raw in (answers.sfp(), answers.qsfp(), answers.cmis()))

    assert (small.kind, small.vendor, small.part, small.serial) == ("SFP", "FINISAR CORP.", "FTLX1471D3BCL", "AGG1234")
    assert (small.connector, small.wavelength_nm, small.temperature_celsius) == ("LC", 1310, 31.5)
    assert (small.transmit_power_mw, small.receive_power_mw) == (0.5623, 0.4321)
    assert (cable.kind, cable.part, cable.cable_m, cable.wavelength_nm) == ("QSFP28", "MCP1600-C003", 3, None)
    assert (large.kind, large.serial, large.cable_m, large.temperature_celsius) == ("QSFP-DD", "INKAB123", 5, 40)
    assert transceiver(answers.sfp(diagnosed=False)).receive_power_mw is None


def test_a_wrong_checksum() -> None:
    """Names of which nobody knows whether they are right are not told."""
    raw = bytearray(answers.sfp())
    raw[70] ^= 1
    assert transceiver(bytes(raw)).serial == "AGF1234"  # the serial is behind the first sum
    raw[25] ^= 1
    with pytest.raises(DecodeError, match="checksum"):
        transceiver(bytes(raw))


def test_links() -> None:
    """Modes by name; one that is newer by its number; no speed is none."""
    found = ethtool.link(answers.link_settings(supported=1 << 12 | 1 << 5 | 1 << 95))

    assert (found.speed_mbps, found.duplex, found.port, found.is_autonegotiated) == (10000, "full", "FIBRE", True)
    assert found.supported == ("1000baseT/Full", "10000baseT/Full", "mode 95") and found.partner == ("10000baseT/Full",)
    assert ethtool.link(answers.link_settings(speed=0xFFFFFFFF)).speed_mbps is None
    assert ethtool.driver(answers.driver_info()).firmware == "9.20 0x8000d87a 1.3429.0"


def test_tpm() -> None:
    """Who made it; a certificate without the padding behind it, by its digest."""
    told = tpm.described(tpm.properties(answers.tpm_properties()))
    kept = tpm.public(answers.tpm_public(0x01C00002, 900))
    raw = answers.certificate(900)

    assert (told.manufacturer, told.vendor, told.firmware) == ("IFX", "SLB9670", "7.85.0.4352")
    assert kept is not None and (kept.size, kept.reader) == (900, 0)
    assert tpm.certificate("rsa2048", raw + bytes(100)).sha256 == sha256(raw).hexdigest()
    assert tpm.public(bytes.fromhex("80010000000a0000018b")) is None


def test_neighbours() -> None:
    """Names by their kind, VLANs by number; what an organisation of which nobody knows says is passed over."""
    found = neighbour(
        answers.lldp(
            (1, b"\4\x02\x00\x00\x00\x00\x01"),
            (2, b"\5Ethernet1/7"),
            (3, b"\0\x78"),
            (5, b"leaf-3a"),
            (8, b"\5\1\x0a\0\0\1\2\0\0\0\1\0"),
            (127, b"\x00\x80\xc2\x01\0\x2a"),
            (127, b"\x00\x80\xc2\x03\x01\x2d\7storage"),
            (127, b"\x00\x12\x0f\x04\x24\0"),
            (127, b"\xde\xad\xbe\1zzz"),
        )
    )

    assert (found.chassis_id, found.port_id, found.system_name) == ("02:00:00:00:00:01", "Ethernet1/7", "leaf-3a")
    assert (found.port_vlan_id, found.vlans, found.management_addresses) == (42, {301: "storage"}, ("10.0.0.1",))
    assert (found.largest_frame_bytes, found.valid_s) == (9216, 120)
