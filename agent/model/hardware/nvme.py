# SPDX-License-Identifier: Apache-2.0
"""What an NVMe disk says of itself, bytes → values: identify and the health log (NVMe Base 2.0, NVM Command Set 1.0).

Pure; whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.frozen import Frozen
from agent.model.hardware.disk import DiskHealth, LbaFormat, Namespace

IDENTIFY_BYTES, HEALTH_BYTES = 4096, 512
NAMESPACE, CONTROLLER, ACTIVE_NAMESPACES = 0, 1, 2
HEALTH_PAGE = 2
DATA_UNIT_BYTES = 512_000  # a thousand sectors, rounded up (Base 2.0, figure 208)
KELVIN = 273
FEWEST_DATA_BITS, MOST_DATA_BITS = 9, 31
WARNINGS = (
    "spare below threshold",
    "temperature beyond threshold",
    "reliability degraded",
    "read only",
    "volatile memory backup failed",
    "persistent memory read only",
)
"""Figure 208, critical warning, from bit 0."""


class Controller(Frozen):
    """Identify Controller (Base 2.0, figure 276)."""

    serial: str
    model: str
    firmware: str
    version: str | None = None
    most_namespaces: int
    capacity_bytes: int | None = None
    unallocated_bytes: int | None = None
    firmware_slots: int
    qualified_name: str | None = None


def controller(raw: bytes) -> Controller:
    """Raises `DecodeError`."""
    checked(raw, IDENTIFY_BYTES, "reading an NVMe controller's identity")
    version = number(raw, 80, 4)
    return Controller(
        serial=text(raw[4:24]),
        model=text(raw[24:64]),
        firmware=text(raw[64:72]),
        version=f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}" if version else None,
        most_namespaces=number(raw, 516, 4),
        capacity_bytes=number(raw, 280, 16) or None,
        unallocated_bytes=number(raw, 296, 16) if number(raw, 280, 16) else None,
        firmware_slots=raw[260] >> 1 & 7,
        qualified_name=text(raw[768:1024]) or None,
    )


def namespace(raw: bytes, number_: int) -> Namespace:
    """Identify Namespace (NVM Command Set 1.0, figure 97). Raises `DecodeError`."""
    doing = f"reading the identity of NVMe namespace {number_}"
    checked(raw, IDENTIFY_BYTES, doing)
    count = raw[25] + 1
    chosen = raw[26] & 0x0F | (raw[26] >> 1 & 0x30 if count > 16 else 0)
    if count > 64 or chosen >= count:
        raise DecodeError(doing, f"it has {count} formats, and uses number {chosen}")
    formats = tuple(lba_format(number(raw, 128 + 4 * at, 4), is_used=at == chosen) for at in range(count))
    if not FEWEST_DATA_BITS <= raw[128 + 4 * chosen + 2] <= MOST_DATA_BITS:
        raise DecodeError(doing, f"its sectors have 2^{raw[128 + 4 * chosen + 2]} bytes")
    sector = formats[chosen].data_bytes
    return Namespace(
        number=number_,
        size_bytes=number(raw, 0, 8) * sector,
        capacity_bytes=number(raw, 8, 8) * sector,
        used_bytes=number(raw, 16, 8) * sector,
        formats=tuple(each for each in formats if each.data_bytes > 1),
        nguid=raw[104:120].hex() if any(raw[104:120]) else None,
        eui64=raw[120:128].hex() if any(raw[120:128]) else None,
    )


def lba_format(packed: int, *, is_used: bool) -> LbaFormat:
    """Metadata, the power of two of the data, relative performance (0 is best). A format that is none has no data."""
    bits = packed >> 16 & 0xFF
    return LbaFormat(
        data_bytes=1 << bits if FEWEST_DATA_BITS <= bits <= MOST_DATA_BITS else 0,
        metadata_bytes=packed & 0xFFFF,
        performance=packed >> 24 & 3,
        is_used=is_used,
    )


def active_namespaces(raw: bytes) -> tuple[int, ...]:
    """The list ends with a zero. Raises `DecodeError`."""
    checked(raw, IDENTIFY_BYTES, "reading the list of NVMe namespaces")
    found: list[int] = []
    for at in range(0, IDENTIFY_BYTES, 4):
        one = number(raw, at, 4)
        if not one:
            break
        if found and one <= found[-1]:
            raise DecodeError("reading the list of NVMe namespaces", f"{one} follows {found[-1]}")
        found.append(one)
    return tuple(found)


def health(raw: bytes) -> DiskHealth:
    """The health log (Base 2.0, figure 208). Raises `DecodeError`."""
    checked(raw, HEALTH_BYTES, "reading an NVMe disk's health")
    kelvin = number(raw, 1, 2)
    warnings = tuple(word for bit, word in enumerate(WARNINGS) if raw[0] & 1 << bit)
    return DiskHealth(
        passed=not warnings,
        warnings=warnings,
        temperature_celsius=kelvin - KELVIN if kelvin else None,
        spare_percent=raw[3],
        spare_threshold_percent=raw[4],
        used_percent=raw[5],
        read_bytes=number(raw, 32, 16) * DATA_UNIT_BYTES,
        written_bytes=number(raw, 48, 16) * DATA_UNIT_BYTES,
        power_cycles=number(raw, 112, 16),
        power_on_hours=number(raw, 128, 16),
        unsafe_shutdowns=number(raw, 144, 16),
        media_errors=number(raw, 160, 16),
        logged_errors=number(raw, 176, 16),
    )


def checked(raw: bytes, length: int, doing: str) -> None:
    """That it is all there. Raises `DecodeError`."""
    if len(raw) < length:
        raise DecodeError(doing, f"it has {len(raw)} bytes of {length}")


def number(raw: bytes, at: int, size: int) -> int:
    """Little-endian."""
    return int.from_bytes(raw[at : at + size], "little")


def text(raw: bytes) -> str:
    """ASCII, padded with blanks; what is none is shown as a replacement character."""
    return " ".join(raw.partition(b"\0")[0].decode("ascii", errors="replace").split())
