# SPDX-License-Identifier: Apache-2.0
"""SMBIOS: what tables say, and that no bytes can break the parser."""

from __future__ import annotations

from itertools import accumulate

import pytest

from agent.errors import DecodeError
from agent.host.fake import FakeHost
from agent.host.smbios import TABLES, parse, read, version
from tests.machines import firmware
from tests.machines.firmware import ENTRY_POINT, GIB

UUID = "4c4c4544-0058-4b10-8034-b7c04f513333"
PARTS = (
    firmware.firmware("Dell Inc.", "1.5.5", "02/22/2022"),
    firmware.product("Dell Inc.", "PowerEdge", "7XK4Q33", UUID),
    firmware.chassis("C1", None),
    firmware.processor("CPU1", "Xeon", cores=300, threads=600, max_mhz=4000),
    firmware.processor("CPU2", "", cores=0, threads=0, max_mhz=0, populated=False),
    firmware.memory_device("A1", 64 * GIB, serial="S1"),
    firmware.memory_device("A2", 16 * GIB, speed=4800, kind=0x22),
    firmware.memory_device("A3", 0),
)
TABLE = firmware.table(*PARTS)


def test_whole_table() -> None:
    """Firmware, product, chassis, processors and modules are read with their strings and wide fields."""
    found = parse(TABLE)

    assert found.firmware is not None and found.product is not None and found.chassis is not None
    assert (found.firmware.vendor, found.firmware.version, found.firmware.date) == ("Dell Inc.", "1.5.5", "02/22/2022")
    assert (found.product.serial, found.product.uuid) == ("7XK4Q33", UUID)
    assert (found.chassis.serial, found.chassis.asset_tag) == ("C1", None)
    assert [(each.cores, each.threads) for each in found.processors] == [(300, 600)]
    assert [each.size_bytes for each in found.memory] == [64 * GIB, 16 * GIB, 0]
    assert [(each.kind, each.speed_mts) for each in found.memory] == [("DDR4", 3200), ("DDR5", 4800), ("DDR4", None)]


def test_uuid_of_old_firmware() -> None:
    """Before SMBIOS 2.6 the UUID's first fields are in network order; the entry point tells the version."""
    old = parse(TABLE, version(b"_SM_" + bytes([0, 31, 2, 5]) + bytes(23))).product

    assert old is not None and old.uuid == "44454c4c-5800-104b-8034-b7c04f513333"
    assert version(ENTRY_POINT) == (3, 3)
    assert version(b"") == (3, 0)


@pytest.mark.parametrize("field", [bytes(16), b"\xff" * 16])
def test_uuid_that_is_none(field: bytes) -> None:
    """All zeroes and all ones are no UUID (7.2.1)."""
    fields = firmware.product("X", "Y", None, UUID)
    fields.data[0x08:0x18] = field
    found = parse(firmware.table(fields)).product

    assert found is not None and found.uuid is None


def test_sizes_in_kib_and_unknown() -> None:
    """A module may be given in KiB, or not be known, which is not the same as an empty slot (7.18.1)."""
    small = firmware.memory_device("K", 0).number(0x0C, 0x8000 | 512, 2)
    unknown = firmware.memory_device("U", 0).number(0x0C, 0xFFFF, 2)

    assert [each.size_bytes for each in parse(firmware.table(small, unknown)).memory] == [512 * 1024, None]


def test_short_structure_of_old_firmware() -> None:
    """A structure that ends before a field has no such field."""
    fields = firmware.memory_device("A1", 8 * GIB, serial="S")
    fields.data = fields.data[:0x15]
    fields.data[1] = 0x15
    found = parse(firmware.table(fields)).memory[0]

    assert (found.locator, found.size_bytes, found.speed_mts, found.serial) == ("A1", 8 * GIB, None, None)


def test_nothing_after_the_end_counts() -> None:
    """What follows the end-of-table structure is padding."""
    assert parse(TABLE + b"\xff" * 50) == parse(TABLE)


def test_truncated_table() -> None:
    """A table cut within a structure is refused, with the place; between two, the rest is simply not there."""
    ends = {0, *accumulate(len(part.at(0)) for part in PARTS)}
    for size in range(len(TABLE) - len(firmware.END)):
        if size in ends:
            parse(TABLE[:size])
        else:
            with pytest.raises(DecodeError, match="reading the SMBIOS structure at byte"):
                parse(TABLE[:size])


def test_machine_without_tables() -> None:
    """No table is an absence, not an error."""
    assert read(FakeHost.with_files({}).files) is None
    assert read(FakeHost.with_files({TABLES: TABLE}).files) == parse(TABLE)
