# SPDX-License-Identifier: Apache-2.0
"""SMBIOS tables as bytes → typed structures. Pure but for `read`, which fetches the bytes.

DMTF DSP0134 (3.7), section 6: a structure is a header (type, length of the formatted part, handle), the formatted
part, and its strings, each ended by a NUL and all by one more. Strings are referred to by number, from 1; 0 is none.
Fields come in the order in which versions added them, so a short formatted part means an older firmware.

Whatever the bytes are, `parse` gives tables or raises `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from agent.errors import DecodeError
from agent.host.doors import Files

TABLES = "/sys/firmware/dmi/tables/DMI"
ENTRY_POINT = "/sys/firmware/dmi/tables/smbios_entry_point"
HEADER_BYTES = 4
END_OF_TABLE = 127
KIB, MIB = 1024, 1024**2

# 7.18.2, table 78
MEMORY_KINDS = {
    0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1A: "DDR4", 0x1B: "LPDDR", 0x1C: "LPDDR2", 0x1D: "LPDDR3",
    0x1E: "LPDDR4", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3",
}  # fmt: skip

# 7.17.3, table 76
CORRECTIONS = {3: "None", 4: "Parity", 5: "Single-bit ECC", 6: "Multi-bit ECC", 7: "CRC"}


@dataclass(frozen=True)
class Structure:
    """One structure as it stands in the table."""

    kind: int
    handle: int
    data: bytes
    strings: tuple[str, ...]

    def number(self, offset: int, size: int) -> int | None:
        """A little-endian number, or `None` if this firmware's structure ends before it."""
        field = self.data[offset : offset + size]
        return int.from_bytes(field, "little") if len(field) == size else None

    def text(self, offset: int) -> str | None:
        """The string that the byte at `offset` refers to."""
        index = self.number(offset, 1)
        if not index or index > len(self.strings):
            return None
        return self.strings[index - 1].strip() or None


@dataclass(frozen=True)
class Firmware:
    """Type 0 (7.1)."""

    vendor: str | None
    version: str | None
    date: str | None


@dataclass(frozen=True)
class Product:
    """Type 1 (7.2)."""

    vendor: str | None
    product: str | None
    serial: str | None
    uuid: str | None


@dataclass(frozen=True)
class Chassis:
    """Type 3 (7.4)."""

    serial: str | None
    asset_tag: str | None


@dataclass(frozen=True)
class Processor:
    """Type 4 (7.5), of a socket that has one."""

    socket: str | None
    model: str | None
    max_mhz: int | None
    cores: int | None
    threads: int | None


@dataclass(frozen=True)
class MemoryDevice:
    """Type 17 (7.18). `size_bytes` is 0 for an empty slot and `None` where the firmware does not know."""

    locator: str | None
    bank: str | None
    size_bytes: int | None
    kind: str | None
    speed_mts: int | None
    manufacturer: str | None
    serial: str | None
    part: str | None
    configured_speed_mts: int | None = None
    ranks: int | None = None
    data_width_bits: int | None = None
    total_width_bits: int | None = None


@dataclass(frozen=True)
class Tables:
    """What the firmware says of the machine. `correction` is of its system memory (type 16)."""

    firmware: Firmware | None
    product: Product | None
    chassis: Chassis | None
    processors: tuple[Processor, ...]
    memory: tuple[MemoryDevice, ...]
    correction: str | None = None
    has_bmc: bool = False


def read(files: Files) -> Tables | None:
    """The tables of this machine; `None` if its firmware has none. Raises `HostError`, `DecodeError`."""
    if not files.exists(TABLES):
        return None
    entry_point = files.read_bytes(ENTRY_POINT) if files.exists(ENTRY_POINT) else b""
    return parse(files.read_bytes(TABLES), version(entry_point))


def parse(table: bytes, spoken: tuple[int, int] = (3, 0)) -> Tables:
    """Raises `DecodeError`, and nothing else. `spoken` is the version of the specification that the firmware keeps."""
    every = tuple(structures(table))
    processors = (processor(each) for each in every if each.kind == 4)
    return Tables(
        firmware=next((firmware(each) for each in every if each.kind == 0), None),
        product=next((product(each, spoken) for each in every if each.kind == 1), None),
        chassis=next((Chassis(each.text(0x07), each.text(0x08)) for each in every if each.kind == 3), None),
        processors=tuple(each for each in processors if each is not None),
        memory=tuple(memory_device(each) for each in every if each.kind == 17),
        correction=next((correction(each) for each in every if each.kind == 16 and each.number(0x05, 1) == 3), None),
        has_bmc=any(each.kind == 38 for each in every),
    )


def version(entry_point: bytes) -> tuple[int, int]:
    """5.2: `_SM_` has the version at 6, `_SM3_` at 7. Without an entry point, the present one is assumed."""
    if entry_point.startswith(b"_SM3_") and len(entry_point) > 8:
        return entry_point[7], entry_point[8]
    if entry_point.startswith(b"_SM_") and len(entry_point) > 7:
        return entry_point[6], entry_point[7]
    return 3, 0


def structures(table: bytes) -> Iterator[Structure]:
    """Each structure, up to the end-of-table one or the last byte."""
    at = 0
    while at < len(table):
        where = f"reading the SMBIOS structure at byte {at} of {len(table)}"
        if len(table) - at < HEADER_BYTES:
            raise DecodeError(where, "the table ends within its header")
        kind, length = table[at], table[at + 1]
        if length < HEADER_BYTES or at + length > len(table):
            raise DecodeError(where, f"its formatted part of {length} bytes cannot be")
        end = table.find(b"\0\0", at + length)
        if end < 0:
            raise DecodeError(where, "its strings have no end")
        texts = table[at + length : end].split(b"\0")
        strings = tuple(text.decode("utf-8", errors="replace") for text in texts) if end > at + length else ()
        yield Structure(kind, int.from_bytes(table[at + 2 : at + 4], "little"), table[at : at + length], strings)
        if kind == END_OF_TABLE:
            return
        at = end + 2


def firmware(each: Structure) -> Firmware:
    """Type 0."""
    return Firmware(each.text(0x04), each.text(0x05), each.text(0x08))


def product(each: Structure, spoken: tuple[int, int]) -> Product:
    """Type 1."""
    return Product(each.text(0x04), each.text(0x05), each.text(0x07), uuid(each.data[0x08:0x18], spoken))


def uuid(field: bytes, spoken: tuple[int, int]) -> str | None:
    """7.2.1: all zeroes is not set, all ones is not known; since 2.6 the first three fields are little-endian."""
    if len(field) < 16 or field in (bytes(16), b"\xff" * 16):
        return None
    return str(UUID(bytes_le=field) if spoken >= (2, 6) else UUID(bytes=field))


def processor(each: Structure) -> Processor | None:
    """Type 4; `None` for an empty socket (status, bit 6) or what is no central processor (type 3)."""
    status = each.number(0x18, 1)
    if each.number(0x05, 1) != 3 or (status is not None and not status & 0x40):
        return None
    return Processor(
        socket=each.text(0x04),
        model=each.text(0x10),
        max_mhz=each.number(0x14, 2) or None,
        cores=wide(each, 0x23, 0x2A),
        threads=wide(each, 0x25, 0x2E),
    )


def wide(each: Structure, narrow: int, extended: int) -> int | None:
    """A count of one byte; 0xFF there means that the two bytes at `extended` have it (since 3.0)."""
    count = each.number(narrow, 1)
    return (each.number(extended, 2) if count == 0xFF else count) or None


def memory_device(each: Structure) -> MemoryDevice:
    """Type 17."""
    speed = each.number(0x15, 2)
    return MemoryDevice(
        locator=each.text(0x10),
        bank=each.text(0x11),
        size_bytes=memory_bytes(each),
        kind=MEMORY_KINDS.get(each.number(0x12, 1) or 0),
        speed_mts=(each.number(0x54, 4) if speed == 0xFFFF else speed) or None,
        manufacturer=each.text(0x17),
        serial=each.text(0x18),
        part=each.text(0x1A),
        configured_speed_mts=(each.number(0x58, 4) if each.number(0x20, 2) == 0xFFFF else each.number(0x20, 2)) or None,
        ranks=(each.number(0x1B, 1) or 0) & 0x0F or None,
        data_width_bits=width(each, 0x0A),
        total_width_bits=width(each, 0x08),
    )


def width(each: Structure, offset: int) -> int | None:
    """Of a module; all ones is not known."""
    bits = each.number(offset, 2)
    return bits if bits and bits != 0xFFFF else None


def correction(each: Structure) -> str | None:
    """Of an array of memory (7.17.3); "Other" and "Unknown" say nothing."""
    return CORRECTIONS.get(each.number(0x06, 1) or 0)


def memory_bytes(each: Structure) -> int | None:
    """7.18.1: MiB, or KiB if bit 15 is set; 0x7FFF sends to the extended size in MiB; 0xFFFF is not known."""
    size = each.number(0x0C, 2)
    if size is None or size == 0xFFFF:
        return None
    if size == 0x7FFF:
        extended = each.number(0x1C, 4)
        return None if extended is None else (extended & 0x7FFFFFFF) * MIB
    return (size & 0x7FFF) * (KIB if size & 0x8000 else MIB)
