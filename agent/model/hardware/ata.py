# SPDX-License-Identifier: Apache-2.0
"""What an ATA disk says of itself, bytes → values: IDENTIFY DEVICE and SMART (ACS-4, SFF-8035i). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.frozen import Frozen
from agent.model.hardware.disk import DiskHealth

SECTOR_BYTES = 512
SMART_DATA, SMART_THRESHOLDS, SMART_STATUS = 0xD0, 0xD1, 0xDA
PASSED, FAILED = (0x4F, 0xC2), (0xF4, 0x2C)
"""The registers after SMART RETURN STATUS (ACS-4, section 7.43.8)."""
SOLID, SLOWEST_RPM, FASTEST_RPM = 1, 0x401, 0xFFFE
GENERATIONS_GBPS = {1: 1.5, 2: 3.0, 3: 6.0}
FORM_FACTORS = {1: 5.25, 2: 3.5, 3: 2.5, 4: 1.8}
ATTRIBUTES, ATTRIBUTE_BYTES = 30, 12
PREFAILURE = 1
REALLOCATED, HOURS, CYCLES, UNCORRECTABLE, AIRFLOW, TEMPERATURE, PENDING, CRC = 5, 9, 12, 187, 190, 194, 197, 199


class AtaIdentity(Frozen):
    """IDENTIFY DEVICE (ACS-4, section 7.13.6)."""

    serial: str
    model: str
    firmware: str
    rotation_rpm: int | None = None
    form_factor_inches: float | None = None
    link_gbps: float | None = None
    best_link_gbps: float | None = None
    has_smart: bool = False
    is_locked: bool = False


class Attribute(Frozen):
    """One of SMART's attributes; `value` sinks to `threshold` as the disk wears out."""

    number: int
    is_prefailure: bool
    value: int
    raw: int

    def fails(self, threshold: int) -> bool:
        """A threshold of 0 never does, of 254 and 255 is for tests."""
        return 0 < threshold < 254 and 0 < self.value <= threshold


def identity(raw: bytes) -> AtaIdentity:
    """Raises `DecodeError`."""
    doing = "reading an ATA disk's identity"
    if len(raw) < SECTOR_BYTES:
        raise DecodeError(doing, f"it has {len(raw)} bytes of {SECTOR_BYTES}")
    if raw[510] == 0xA5 and sum(raw[:SECTOR_BYTES]) & 0xFF:
        raise DecodeError(doing, "its checksum is wrong")
    turns = word(raw, 217)
    return AtaIdentity(
        serial=swapped(raw[20:40]),
        firmware=swapped(raw[46:54]),
        model=swapped(raw[54:94]),
        rotation_rpm=0 if turns == SOLID else turns if SLOWEST_RPM <= turns <= FASTEST_RPM else None,
        form_factor_inches=FORM_FACTORS.get(word(raw, 168) & 0x0F),
        link_gbps=GENERATIONS_GBPS.get(word(raw, 77) >> 1 & 7) if word(raw, 77) != 0xFFFF else None,
        best_link_gbps=best_link(word(raw, 76)),
        has_smart=bool(word(raw, 82) & 1 and word(raw, 85) & 1),
        is_locked=bool(word(raw, 128) & 4),
    )


def best_link(capabilities: int) -> float | None:
    """Bit 1 is the first generation; a disk on a parallel cable has no such word."""
    if capabilities in (0, 0xFFFF):
        return None
    return max((gbps for bit, gbps in GENERATIONS_GBPS.items() if capabilities & 1 << bit), default=None)


def attributes(raw: bytes) -> tuple[Attribute, ...]:
    """SMART READ DATA. Raises `DecodeError`."""
    summed(raw, "reading an ATA disk's attributes")
    return tuple(
        Attribute(
            number=raw[at],
            is_prefailure=bool(raw[at + 1] & PREFAILURE),
            value=raw[at + 3],
            raw=int.from_bytes(raw[at + 5 : at + 11], "little"),
        )
        for at in places()
        if raw[at]
    )


def thresholds(raw: bytes) -> dict[int, int]:
    """SMART READ THRESHOLDS: by attribute. Raises `DecodeError`."""
    summed(raw, "reading the limits of an ATA disk's attributes")
    return {raw[at]: raw[at + 1] for at in places() if raw[at]}


def passed(registers: tuple[int, int]) -> bool | None:
    """The disk's own verdict; `None` for registers that an adapter has not brought through."""
    return {PASSED: True, FAILED: False}.get(registers)


def health(verdict: bool | None, found: tuple[Attribute, ...], limits: dict[int, int]) -> DiskHealth:
    """In our words. Only attributes on whose meaning makers agree are named; of 5, 187, 197 and 199 the raw value is a
    count, and of 9 and 194 its low half is the figure: above it some keep minutes, or extremes.
    """
    raw = {each.number: each.raw for each in found}
    failing = [each for each in found if each.is_prefailure and each.fails(limits.get(each.number, 0))]
    celsius = raw.get(TEMPERATURE, raw.get(AIRFLOW, 0)) & 0xFF
    return DiskHealth(
        passed=False if failing else verdict,
        warnings=tuple(f"attribute {each.number} is at {each.value}, its limit" for each in failing),
        temperature_celsius=celsius or None,
        power_on_hours=raw[HOURS] & 0xFFFFFF if HOURS in raw else None,
        power_cycles=low(raw, CYCLES),
        media_errors=low(raw, UNCORRECTABLE),
        reallocated_sectors=low(raw, REALLOCATED),
        pending_sectors=low(raw, PENDING),
        crc_errors=low(raw, CRC),
    )


def low(raw: dict[int, int], attribute: int) -> int | None:
    """The lower four bytes."""
    return raw[attribute] & 0xFFFFFFFF if attribute in raw else None


def places() -> range:
    """Where attributes stand, behind the revision."""
    return range(2, 2 + ATTRIBUTES * ATTRIBUTE_BYTES, ATTRIBUTE_BYTES)


def summed(raw: bytes, doing: str) -> None:
    """A sector whose bytes add up to zero. Raises `DecodeError`."""
    if len(raw) < SECTOR_BYTES:
        raise DecodeError(doing, f"it has {len(raw)} bytes of {SECTOR_BYTES}")
    if sum(raw[:SECTOR_BYTES]) & 0xFF:
        raise DecodeError(doing, "its checksum is wrong")


def word(raw: bytes, number: int) -> int:
    """A word of 16 bits."""
    return int.from_bytes(raw[2 * number : 2 * number + 2], "little")


def swapped(raw: bytes) -> str:
    """ATA's texts have the letters of each word exchanged."""
    plain = bytes(raw[at ^ 1] for at in range(len(raw)))
    return " ".join(plain.partition(b"\0")[0].decode("ascii", errors="replace").split())
