# SPDX-License-Identifier: Apache-2.0
"""The EEPROM of a pluggable module, bytes → values: SFP (SFF-8472), QSFP (SFF-8636), QSFP-DD and OSFP (CMIS). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`. Makers get checksums wrong; a wrong one is told by the
kind of module alone, so names are read only where it is right.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.hardware.nic import Transceiver

DOING = "reading the EEPROM of a pluggable module"
# SFF-8024, table 4-1
KINDS = {
    0x03: "SFP", 0x0B: "DWDM-SFP", 0x0C: "QSFP", 0x0D: "QSFP+", 0x11: "QSFP28", 0x18: "QSFP-DD", 0x19: "OSFP",
    0x1A: "SFP-DD", 0x1B: "DSFP", 0x1E: "QSFP+ (CMIS)", 0x1F: "SFP-DD (CMIS)", 0x20: "SFP+ (CMIS)",
}  # fmt: skip
# table 4-3
CONNECTORS = {
    0x01: "SC", 0x07: "LC", 0x08: "MT-RJ", 0x09: "MU", 0x0B: "optical pigtail", 0x0C: "MPO 1x12", 0x0D: "MPO 2x16",
    0x21: "copper pigtail", 0x22: "RJ45", 0x23: "no separable connector", 0x24: "MXC", 0x25: "CS", 0x26: "SN",
    0x27: "MPO 2x12", 0x28: "MPO 1x16",
}  # fmt: skip
SMALL, WIDE = frozenset({0x03, 0x0B}), frozenset({0x0C, 0x0D, 0x11})
CMIS = frozenset({0x18, 0x19, 0x1A, 0x1B, 0x1E, 0x1F, 0x20})
PAGE_BYTES = 256
DIAGNOSED, CALIBRATED_WITHIN = 0x40, 0x20
COPPER_PASSIVE, COPPER_ACTIVE = 0x04, 0x08
TENTH_MICROWATTS_IN_A_MILLIWATT = 10_000


def transceiver(raw: bytes) -> Transceiver:
    """Of whatever kind. Raises `DecodeError`."""
    if len(raw) < PAGE_BYTES:
        raise DecodeError(DOING, f"it has {len(raw)} bytes of {PAGE_BYTES}")
    kind = raw[0]
    if kind in SMALL:
        return sfp(raw)
    if kind in WIDE:
        return qsfp(raw)
    if kind in CMIS:
        return cmis(raw)
    raise DecodeError(DOING, f"{kind:#04x} is no kind of module that is known here")


def sfp(raw: bytes) -> Transceiver:
    """SFF-8472: the first 256 bytes are A0h, the next, if there are any, A2h. Raises `DecodeError`."""
    summed(raw[:63], raw[63])
    is_copper = bool(raw[8] & (COPPER_PASSIVE | COPPER_ACTIVE))
    told = Transceiver(
        kind=KINDS[raw[0]],
        vendor=text(raw[20:36]),
        part=text(raw[40:56]),
        revision=text(raw[56:60]),
        serial=text(raw[68:84]),
        made=text(raw[84:92]),
        connector=CONNECTORS.get(raw[2]),
        wavelength_nm=None if is_copper else float(big(raw[60:62])) or None,
        cable_m=raw[18] or None if is_copper else None,
    )
    if len(raw) < 2 * PAGE_BYTES or not raw[92] & DIAGNOSED or not raw[92] & CALIBRATED_WITHIN:
        return told
    return told.model_copy(update=diagnosed(raw[PAGE_BYTES:], 96, 104, 102))


def qsfp(raw: bytes) -> Transceiver:
    """SFF-8636: the lower page and page 00h. Raises `DecodeError`."""
    summed(raw[128:191], raw[191])
    is_copper = raw[147] >> 4 >= 0x0A
    told = Transceiver(
        kind=KINDS[raw[0]],
        vendor=text(raw[148:164]),
        part=text(raw[168:184]),
        revision=text(raw[184:186]),
        serial=text(raw[196:212]),
        made=text(raw[212:220]),
        connector=CONNECTORS.get(raw[130]),
        wavelength_nm=None if is_copper else big(raw[186:188]) / 20 or None,
        cable_m=raw[146] or None,
    )
    return told.model_copy(update=diagnosed(raw, 22, 34, 50))


def cmis(raw: bytes) -> Transceiver:
    """CMIS 5.2, sections 8.2 and 8.3: the lower page and page 00h. Raises `DecodeError`."""
    summed(raw[128:222], raw[222])
    length = (raw[202] & 0x3F) * (0.1, 1, 10, 100)[raw[202] >> 6]
    return Transceiver(
        kind=KINDS[raw[0]],
        vendor=text(raw[129:145]),
        part=text(raw[148:164]),
        revision=text(raw[164:166]),
        serial=text(raw[166:182]),
        made=text(raw[182:190]),
        connector=CONNECTORS.get(raw[203]),
        cable_m=round(length) or None,
        temperature_celsius=celsius(raw[14:16]),
    )


def diagnosed(raw: bytes, temperature: int, received: int, sent: int) -> dict[str, float | None]:
    """What the module measures. Zero of everything is a module, or a driver, that does not."""
    if not any(raw[temperature : temperature + 2]):
        return {}
    return {
        "temperature_celsius": celsius(raw[temperature : temperature + 2]),
        "receive_power_mw": big(raw[received : received + 2]) / TENTH_MICROWATTS_IN_A_MILLIWATT,
        "transmit_power_mw": big(raw[sent : sent + 2]) / TENTH_MICROWATTS_IN_A_MILLIWATT,
    }


def celsius(raw: bytes) -> float | None:
    """In steps of 1/256 of a degree; zero is "not measured"."""
    return round(int.from_bytes(raw, signed=True) / 256, 1) if any(raw) else None


def summed(raw: bytes, expected: int) -> None:
    """The low byte of the sum. Raises `DecodeError`."""
    if sum(raw) & 0xFF != expected:
        raise DecodeError(DOING, f"its checksum is {sum(raw) & 0xFF:#04x}, and should be {expected:#04x}")


def big(raw: bytes) -> int:
    """Big-endian."""
    return int.from_bytes(raw)


def text(raw: bytes) -> str | None:
    """ASCII, padded with blanks."""
    return " ".join(raw.partition(b"\0")[0].decode("ascii", errors="replace").split()) or None
