# SPDX-License-Identifier: Apache-2.0
"""SMBIOS tables in dmidecode's words, which IPA passes on: firmware, processors, memory. Pure.

Keys and units are dmidecode's; lists of flags and characteristics are left out. A field that this firmware's structure
does not have is left out, too (DMTF DSP0134, sections 7.1, 7.5, 7.17 and 7.18).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.host.smbios import CORRECTIONS, MEMORY_KINDS, Structure, memory_bytes

KIB, MIB, GIB = 1024, 1024**2, 1024**3
FIRMWARE, PROCESSOR, ARRAY, DEVICE = 0, 4, 16, 17
PROCESSOR_KINDS = {1: "Other", 2: "Unknown", 3: "Central Processor", 4: "Math Processor", 5: "DSP Processor"}
LOCATIONS = {1: "Other", 2: "Unknown", 3: "System Board Or Motherboard"}
USES = {1: "Other", 2: "Unknown", 3: "System Memory", 4: "Video Memory", 5: "Flash Memory", 7: "Cache Memory"}
FORMS = {1: "Other", 2: "Unknown", 3: "SIMM", 9: "DIMM", 11: "Row Of Chips", 13: "SODIMM", 15: "FB-DIMM", 16: "Die"}
NOT_GIVEN = "Not Specified"

Rows = dict[str, object]
Field = Callable[[Structure], str | None]


def dmi(structures: Iterable[Structure]) -> Rows:
    """`dmi` of an inspection: {bios, cpu: [], memory: {…, devices: []}}."""
    every = tuple(structures)
    arrays = [rows(each, ARRAY_FIELDS) for each in every if each.kind == ARRAY]
    slots = sum(each.number(0x0D, 2) or 0 for each in every if each.kind == ARRAY)
    whole = {**arrays[0], "Number Of Devices": slots} if arrays else {}
    whole.pop("Handle", None)  # several arrays are told as one
    return {
        "bios": next((rows(each, FIRMWARE_FIELDS) for each in every if each.kind == FIRMWARE), {}),
        "cpu": [rows(each, PROCESSOR_FIELDS) for each in every if each.kind == PROCESSOR],
        "memory": {**whole, "devices": [rows(each, DEVICE_FIELDS) for each in every if each.kind == DEVICE]},
    }


def rows(each: Structure, fields: dict[str, Field]) -> Rows:
    """The fields that it has."""
    told = {name: read(each) for name, read in fields.items()}
    handle = f"Handle 0x{each.handle:04X}, DMI type {each.kind}, {len(each.data)} bytes"
    return {"Handle": handle, **{name: value for name, value in told.items() if value is not None}}


def text(offset: int) -> Field:
    """A string; dmidecode has words for none."""
    return lambda each: None if each.number(offset, 1) is None else each.text(offset) or NOT_GIVEN


def counted(offset: int, size: int, unit: str = "", *, none: str = "Unknown") -> Field:
    """A number with its unit; 0 is not known."""

    def read(each: Structure) -> str | None:
        value = each.number(offset, size)
        return None if value is None else f"{value} {unit}".rstrip() if value else none

    return read


def worded(offset: int, words: dict[int, str]) -> Field:
    """One of a table's words."""

    def read(each: Structure) -> str | None:
        value = each.number(offset, 1)
        return None if value is None else words.get(value, "<OUT OF SPEC>")

    return read


def handle(offset: int) -> Field:
    """Of another structure."""

    def read(each: Structure) -> str | None:
        value = each.number(offset, 2)
        return None if value is None else {0xFFFE: "Not Provided", 0xFFFF: "No Error"}.get(value, f"0x{value:04X}")

    return read


def width(offset: int) -> Field:
    """Of a module, in bits."""

    def read(each: Structure) -> str | None:
        value = each.number(offset, 2)
        return None if value is None else f"{value} bits" if value not in (0, 0xFFFF) else "Unknown"

    return read


def shown_bytes(size: int) -> str:
    """In the largest unit that leaves no rest."""
    for unit, name in ((GIB, "GB"), (MIB, "MB"), (KIB, "kB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def module_size(each: Structure) -> str | None:
    """What is plugged into a slot."""
    size = memory_bytes(each)
    return "Unknown" if size is None else shown_bytes(size) if size else "No Module Installed"


def capacity(each: Structure) -> str | None:
    """Of an array: KiB, or bytes in the extended field (7.17)."""
    kib = each.number(0x07, 4)
    if kib is None:
        return None
    return shown_bytes((each.number(0x0F, 8) or 0) if kib == 0x80000000 else kib * KIB)


def rom_size(each: Structure) -> str | None:
    """In units of 64 KiB less one; 0xFF sends to the extended field, in MiB or GiB (7.1)."""
    size, extended = each.number(0x09, 1), each.number(0x18, 2)
    if size is None:
        return None
    if size != 0xFF or extended is None:
        return shown_bytes((size + 1) * 64 * KIB)
    return f"{extended & 0x3FFF} {'GB' if extended >> 14 else 'MB'}"


def revision(offset: int) -> Field:
    """Major and minor; 0xFF is none."""

    def read(each: Structure) -> str | None:
        major, minor = each.number(offset, 1), each.number(offset + 1, 1)
        return None if major in (None, 0xFF) or minor in (None, 0xFF) else f"{major}.{minor}"

    return read


def status(each: Structure) -> str | None:
    """Whether there is a processor in the socket, and whether it runs."""
    value = each.number(0x18, 1)
    if value is None:
        return None
    states = {0: "Unknown", 1: "Enabled", 2: "Disabled By User", 3: "Disabled By BIOS", 4: "Idle"}
    return f"Populated, {states.get(value & 7, 'Other')}" if value & 0x40 else "Unpopulated"


def wide(narrow: int, extended: int) -> Field:
    """A count of one byte; 0xFF sends to the two bytes at `extended`."""

    def read(each: Structure) -> str | None:
        value = each.number(narrow, 1)
        value = each.number(extended, 2) if value == 0xFF else value
        return str(value) if value else None

    return read


def kind(each: Structure) -> str | None:
    """DDR4 and the like."""
    value = each.number(0x12, 1)
    return None if value is None else MEMORY_KINDS.get(value, "Unknown")


FIRMWARE_FIELDS: dict[str, Field] = {
    "Vendor": text(0x04),
    "Version": text(0x05),
    "Release Date": text(0x08),
    "ROM Size": rom_size,
    "BIOS Revision": revision(0x14),
    "Firmware Revision": revision(0x16),
}
PROCESSOR_FIELDS: dict[str, Field] = {
    "Socket Designation": text(0x04),
    "Type": worded(0x05, PROCESSOR_KINDS),
    "Manufacturer": text(0x07),
    "Version": text(0x10),
    "External Clock": counted(0x12, 2, "MHz"),
    "Max Speed": counted(0x14, 2, "MHz"),
    "Current Speed": counted(0x16, 2, "MHz"),
    "Status": status,
    "Serial Number": text(0x20),
    "Asset Tag": text(0x21),
    "Part Number": text(0x22),
    "Core Count": wide(0x23, 0x2A),
    "Core Enabled": wide(0x24, 0x2C),
    "Thread Count": wide(0x25, 0x2E),
}
ARRAY_FIELDS: dict[str, Field] = {
    "Location": worded(0x04, LOCATIONS),
    "Use": worded(0x05, USES),
    "Error Correction Type": worded(0x06, {1: "Other", 2: "Unknown", **CORRECTIONS}),
    "Maximum Capacity": capacity,
    "Error Information Handle": handle(0x0B),
}
DEVICE_FIELDS: dict[str, Field] = {
    "Array Handle": handle(0x04),
    "Error Information Handle": handle(0x06),
    "Total Width": width(0x08),
    "Data Width": width(0x0A),
    "Size": module_size,
    "Form Factor": worded(0x0E, FORMS),
    "Locator": text(0x10),
    "Bank Locator": text(0x11),
    "Type": kind,
    "Speed": counted(0x15, 2, "MT/s"),
    "Manufacturer": text(0x17),
    "Serial Number": text(0x18),
    "Asset Tag": text(0x19),
    "Part Number": text(0x1A),
    "Rank": counted(0x1B, 1),
    "Configured Memory Speed": counted(0x20, 2, "MT/s"),
}
