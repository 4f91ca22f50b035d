# SPDX-License-Identifier: Apache-2.0
"""SMBIOS in dmidecode's words, and the inventory in hardware-detect's lists."""

from __future__ import annotations

from typing import Any

import pytest

from agent.host.fake import FakeHost
from agent.host.smbios import structures
from agent.inventory import take
from agent.link.ironic.dmi import dmi
from agent.link.ironic.extra_hardware import extra_hardware
from tests.machines import firmware, synthetic
from tests.machines.firmware import GIB, Fields


def told(*fields: Fields) -> Any:
    """Of a table with these structures."""
    return dmi(structures(firmware.table(*fields)))


def array(slots: int, capacity_kib: int, extended: int = 0) -> Fields:
    """Type 16 (7.17)."""
    fields = Fields(16, 0x17).number(0x04, 3, 1).number(0x05, 3, 1).number(0x06, 6, 1).number(0x07, capacity_kib, 4)
    return fields.number(0x0B, 0xFFFE, 2).number(0x0D, slots, 2).number(0x0F, extended, 8)


def test_memory() -> None:
    """Several arrays are told as one, with all their slots; modules stand below it, empty slots too."""
    found = told(
        array(8, 192 * 1024**2),
        array(8, 192 * 1024**2),
        firmware.memory_device("A1", 32 * GIB, serial="S1").number(0x04, 0x0100, 2).number(0x08, 72, 2),
        firmware.memory_device("A2", 0),
    )["memory"]

    assert found["Number Of Devices"] == 16
    assert (found["Location"], found["Maximum Capacity"]) == ("System Board Or Motherboard", "192 GB")
    assert (found["Error Correction Type"], found["Error Information Handle"]) == ("Multi-bit ECC", "Not Provided")
    assert "Handle" not in found
    first, second = found["devices"]
    assert first["Handle"] == "Handle 0x0102, DMI type 17, 92 bytes"
    assert (first["Array Handle"], first["Size"], first["Total Width"]) == ("0x0100", "32 GB", "72 bits")
    assert (first["Type"], first["Speed"], first["Serial Number"]) == ("DDR4", "3200 MT/s", "S1")
    assert (second["Size"], second["Speed"], second["Manufacturer"]) == (
        "No Module Installed",
        "Unknown",
        "Not Specified",
    )


def test_large_arrays() -> None:
    """From 2 TiB on, an array's capacity stands in its extended field, in bytes."""
    assert told(array(4, 0x80000000, 4 << 40))["memory"]["Maximum Capacity"] == "4096 GB"


@pytest.mark.parametrize(
    ("size", "extended", "expected"),
    [(0xFF, 32, "32 MB"), (0xFF, 0x4000 | 1, "1 GB"), (0x7F, 0, "8 MB"), (0x00, 0, "64 kB")],
)
def test_sizes_of_firmware(size: int, extended: int, expected: str) -> None:
    """The ROM's size is in units of 64 KiB, or in the extended field."""
    fields = firmware.firmware("AMI", "1", "01/01/2020").number(0x09, size, 1).number(0x18, extended, 2)

    assert told(fields)["bios"]["ROM Size"] == expected


def test_processors() -> None:
    """Counts above 254 stand in the wide fields; an empty socket is told as such."""
    found = told(
        firmware.processor("CPU1", "Xeon", cores=300, threads=600, max_mhz=4000),
        firmware.processor("CPU2", "", cores=0, threads=0, max_mhz=0, populated=False),
    )["cpu"]

    assert (found[0]["Core Count"], found[0]["Thread Count"], found[0]["Max Speed"]) == ("300", "600", "4000 MHz")
    assert (found[1]["Status"], "Core Count" in found[1]) == ("Unpopulated", False)


def test_old_firmware() -> None:
    """A structure that ends before a field has no such key; without any structure there are empty ones."""
    fields = firmware.processor("CPU1", "Xeon", cores=1, threads=1, max_mhz=1)
    fields.data = fields.data[:0x1A]
    fields.data[1] = 0x1A

    assert "Serial Number" not in told(fields)["cpu"][0]
    assert told() == {"bios": {}, "cpu": [], "memory": {"devices": []}}


def test_extra_hardware() -> None:
    """Lists of four, of which Ironic's hook makes a tree without one leaf taking another's place."""
    items = extra_hardware(take(FakeHost.load(synthetic.HERE / "synthetic-dell-r650")))

    assert all(len(item) == 4 and all(isinstance(word, str) for word in item[:3]) for item in items)
    assert len({tuple(item[:3]) for item in items}) == len(items)
    for item in (
        ["disk", "logical", "count", 4],
        ["disk", "sda", "size", 960],
        ["network", "eno1", "businfo", "pci@0000:19:00.0"],
        ["memory", "total", "size", 512 * GIB],
        ["cpu", "physical", "number", 2],
        ["system", "product", "serial", "7XK4Q33"],
    ):
        assert item in items


def test_extra_hardware_of_a_silent_machine() -> None:
    """What is not known is left out."""
    items = extra_hardware(take(FakeHost.load(synthetic.HERE / "synthetic-no-smbios")))

    assert not [item for item in items if item[3] is None]
    assert ["disk", "vda", "size", 8] in items
    assert not [item for item in items if item[0] == "system"]
