# SPDX-License-Identifier: Apache-2.0
"""SMBIOS bytes for machines that do not exist (DSP0134; the offsets are those of `agent.host.smbios`)."""

from __future__ import annotations

from uuid import UUID

GIB = 1024**3
END = bytes([127, 4, 0xFE, 0xFF, 0, 0])
ENTRY_POINT = b"_SM3_" + bytes([0, 24, 3, 3, 0, 1, 0]) + bytes(12)  # version 3.3


class Fields:
    """The formatted part of one structure, and its strings."""

    def __init__(self, kind: int, length: int) -> None:
        self.data = bytearray(length)
        self.data[:2] = bytes([kind, length])
        self.strings: list[str] = []

    def number(self, offset: int, value: int, size: int) -> Fields:
        """Put a number there."""
        self.data[offset : offset + size] = value.to_bytes(size, "little")
        return self

    def text(self, offset: int, value: str | None) -> Fields:
        """Put a reference to a string there; an empty string would end the set of strings."""
        if value:
            self.strings.append(value)
            self.data[offset] = len(self.strings)
        return self

    def at(self, handle: int) -> bytes:
        """The structure with this handle."""
        self.data[2:4] = handle.to_bytes(2, "little")
        return bytes(self.data) + (b"".join(text.encode() + b"\0" for text in self.strings) or b"\0") + b"\0"


def table(*structures: Fields) -> bytes:
    """A whole table."""
    return b"".join(each.at(0x100 + number) for number, each in enumerate(structures)) + END


def firmware(vendor: str, version: str, date: str) -> Fields:
    """Type 0."""
    return Fields(0, 0x1A).text(0x04, vendor).text(0x05, version).text(0x08, date)


def product(vendor: str, name: str, serial: str | None, uuid: str) -> Fields:
    """Type 1."""
    fields = Fields(1, 0x1B).text(0x04, vendor).text(0x05, name).text(0x07, serial)
    fields.data[0x08:0x18] = UUID(uuid).bytes_le
    return fields


def chassis(serial: str | None, asset_tag: str | None) -> Fields:
    """Type 3."""
    return Fields(3, 0x16).text(0x07, serial).text(0x08, asset_tag)


def processor(socket: str, model: str, *, cores: int, threads: int, max_mhz: int, populated: bool = True) -> Fields:
    """Type 4."""
    fields = Fields(4, 0x30).text(0x04, socket).text(0x10, model)
    fields.number(0x05, 3, 1).number(0x14, max_mhz, 2).number(0x18, 0x41 if populated else 0, 1)
    fields.number(0x23, min(cores, 0xFF), 1).number(0x25, min(threads, 0xFF), 1)
    return fields.number(0x2A, cores, 2).number(0x2E, threads, 2)


def memory_device(
    locator: str, size_bytes: int, *, kind: int = 0x1A, speed: int = 3200, serial: str | None = None
) -> Fields:
    """Type 17; 0 bytes is an empty slot."""
    fields = Fields(17, 0x5C).text(0x10, locator).text(0x11, "BANK 0")
    fields.number(0x12, kind, 1).number(0x15, speed if size_bytes else 0, 2)
    if size_bytes:
        fields.text(0x17, "Micron Technology").text(0x18, serial).text(0x1A, "36ASF4G72PZ-3G2R1")
    mib = size_bytes // 1024**2
    return fields.number(0x0C, mib if mib < 0x7FFF else 0x7FFF, 2).number(0x1C, mib if mib >= 0x7FFF else 0, 4)
