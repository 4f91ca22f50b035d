# SPDX-License-Identifier: Apache-2.0
"""Questions to a NIC's driver and their answers, bytes ↔ values (linux/ethtool.h). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from agent.errors import DecodeError
from agent.model.hardware.nic import LinkModes

DRIVER_INFO, MODULE_INFO, MODULE_EEPROM, LINK_SETTINGS = 0x03, 0x42, 0x43, 0x4C
DRIVER_BYTES, SETTINGS_BYTES, MODULE_BYTES, EEPROM_HEADER_BYTES = 196, 48, 44, 16
LARGEST_EEPROM_BYTES = 4096
MOST_WORDS = 8
SPEED_UNKNOWN = 0xFFFFFFFF
PORTS = {0: "TP", 1: "AUI", 2: "MII", 3: "FIBRE", 4: "BNC", 5: "DA", 0xEF: "NONE", 0xFF: "OTHER"}
DUPLEXES = {0: "half", 1: "full"}
# enum ethtool_link_mode_bit_indices; what is left out are no modes (ports, pause, FEC, autonegotiation)
MODES = {
    0: "10baseT/Half", 1: "10baseT/Full", 2: "100baseT/Half", 3: "100baseT/Full", 4: "1000baseT/Half",
    5: "1000baseT/Full", 12: "10000baseT/Full", 15: "2500baseX/Full", 17: "1000baseKX/Full", 18: "10000baseKX4/Full",
    19: "10000baseKR/Full", 20: "10000baseR_FEC", 21: "20000baseMLD2/Full", 22: "20000baseKR2/Full",
    23: "40000baseKR4/Full", 24: "40000baseCR4/Full", 25: "40000baseSR4/Full", 26: "40000baseLR4/Full",
    27: "56000baseKR4/Full", 28: "56000baseCR4/Full", 29: "56000baseSR4/Full", 30: "56000baseLR4/Full",
    31: "25000baseCR/Full", 32: "25000baseKR/Full", 33: "25000baseSR/Full", 34: "50000baseCR2/Full",
    35: "50000baseKR2/Full", 36: "100000baseKR4/Full", 37: "100000baseSR4/Full", 38: "100000baseCR4/Full",
    39: "100000baseLR4_ER4/Full", 40: "50000baseSR2/Full", 41: "1000baseX/Full", 42: "10000baseCR/Full",
    43: "10000baseSR/Full", 44: "10000baseLR/Full", 45: "10000baseLRM/Full", 46: "10000baseER/Full",
    47: "2500baseT/Full", 48: "5000baseT/Full", 52: "50000baseKR/Full", 53: "50000baseSR/Full",
    54: "50000baseCR/Full", 55: "50000baseLR_ER_FR/Full", 56: "50000baseDR/Full", 57: "100000baseKR2/Full",
    58: "100000baseSR2/Full", 59: "100000baseCR2/Full", 60: "100000baseLR2_ER2_FR2/Full", 61: "100000baseDR2/Full",
    62: "200000baseKR4/Full", 63: "200000baseSR4/Full", 64: "200000baseLR4_ER4_FR4/Full", 65: "200000baseDR4/Full",
    66: "200000baseCR4/Full", 67: "100baseT1/Full", 68: "1000baseT1/Full", 69: "400000baseKR8/Full",
    70: "400000baseSR8/Full", 71: "400000baseLR8_ER8_FR8/Full", 72: "400000baseDR8/Full", 73: "400000baseCR8/Full",
    75: "100000baseKR/Full", 76: "100000baseSR/Full", 77: "100000baseLR_ER_FR/Full", 78: "100000baseCR/Full",
    79: "100000baseDR/Full", 80: "200000baseKR2/Full", 81: "200000baseSR2/Full", 82: "200000baseLR2_ER2_FR2/Full",
    83: "200000baseDR2/Full", 84: "200000baseCR2/Full", 85: "400000baseKR4/Full", 86: "400000baseSR4/Full",
    87: "400000baseLR4_ER4_FR4/Full", 88: "400000baseDR4/Full", 89: "400000baseCR4/Full",
}  # fmt: skip


class Driver(NamedTuple):
    """ETHTOOL_GDRVINFO."""

    name: str
    version: str
    firmware: str
    bus: str


def ask_driver() -> bytes:
    """struct ethtool_drvinfo."""
    return DRIVER_INFO.to_bytes(4, "little").ljust(DRIVER_BYTES, b"\0")


def driver(answer: bytes) -> Driver:
    """Raises `DecodeError`."""
    if len(answer) < DRIVER_BYTES:
        raise DecodeError("reading what a NIC's driver is", f"it has {len(answer)} bytes of {DRIVER_BYTES}")
    return Driver(*(text(answer[at : at + 32]) for at in range(4, 132, 32)))


def ask_link(words: int = 0) -> bytes:
    """struct ethtool_link_settings, with room for so many words of modes; with none, the kernel says how many."""
    head = struct.pack("<IIBBBBBBBb", LINK_SETTINGS, 0, 0, 0, 0, 0, 0, 0, 0, words)
    return head.ljust(SETTINGS_BYTES + 12 * words, b"\0")


def words(answer: bytes) -> int:
    """How many words of modes the kernel has: it answers with less than none. Raises `DecodeError`."""
    count = -struct.unpack_from("<b", answer, 15)[0] if len(answer) >= SETTINGS_BYTES else 0
    if not 0 < count <= MOST_WORDS:
        raise DecodeError("reading a link's settings", f"it would have {count} words of modes")
    return count


def link(answer: bytes) -> LinkModes:
    """Raises `DecodeError`."""
    doing = "reading a link's settings"
    if len(answer) < SETTINGS_BYTES:
        raise DecodeError(doing, f"it has {len(answer)} bytes of {SETTINGS_BYTES}")
    speed, duplex, port, _, auto = struct.unpack_from("<IBBBB", answer, 4)
    count = struct.unpack_from("<b", answer, 15)[0]
    if count <= 0 or len(answer) < SETTINGS_BYTES + 12 * count:
        raise DecodeError(doing, f"{count} words of modes do not fit into {len(answer)} bytes")
    masks = [answer[SETTINGS_BYTES + 4 * count * at :][: 4 * count] for at in range(3)]
    return LinkModes(
        speed_mbps=None if speed in (0, SPEED_UNKNOWN) else speed,
        duplex=DUPLEXES.get(duplex),
        port=PORTS.get(port),
        is_autonegotiated=bool(auto),
        supported=modes(masks[0]),
        advertised=modes(masks[1]),
        partner=modes(masks[2]),
    )


def modes(mask: bytes) -> tuple[str, ...]:
    """By name; one that is newer than our list by its number."""
    bits = int.from_bytes(mask, "little")
    if not bits:
        return ()
    known = [MODES[bit] for bit in sorted(MODES) if bits >> bit & 1]
    newer = [f"mode {bit}" for bit in range(max(MODES) + 1, 8 * len(mask)) if bits >> bit & 1]
    return (*known, *(newer if len(newer) < len(mask) else ()))


def ask_module() -> bytes:
    """struct ethtool_modinfo."""
    return MODULE_INFO.to_bytes(4, "little").ljust(MODULE_BYTES, b"\0")


def module(answer: bytes) -> tuple[int, int]:
    """Which standard its EEPROM keeps, and its length. Raises `DecodeError`."""
    if len(answer) < MODULE_BYTES:
        raise DecodeError("reading what a NIC's module is", f"it has {len(answer)} bytes of {MODULE_BYTES}")
    kind, length = struct.unpack_from("<II", answer, 4)
    return kind, min(length, LARGEST_EEPROM_BYTES)


def ask_eeprom(length: int) -> bytes:
    """struct ethtool_eeprom, from the first byte on."""
    return struct.pack("<IIII", MODULE_EEPROM, 0, 0, length).ljust(EEPROM_HEADER_BYTES + length, b"\0")


def eeprom(answer: bytes) -> bytes:
    """What was read; the driver may have had less. Raises `DecodeError`."""
    if len(answer) < EEPROM_HEADER_BYTES:
        raise DecodeError("reading the EEPROM of a NIC's module", f"it has {len(answer)} bytes")
    return answer[EEPROM_HEADER_BYTES:][: struct.unpack_from("<I", answer, 12)[0]]


def text(raw: bytes) -> str:
    """Up to its NUL."""
    return raw.partition(b"\0")[0].decode("utf-8", errors="replace").strip()
