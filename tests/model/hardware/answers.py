# SPDX-License-Identifier: Apache-2.0
"""Answers of devices that do not exist, built field by field after the specifications that their readers name."""

from __future__ import annotations

import struct

SECTOR, PAGE = 512, 4096


def put(raw: bytearray, at: int, value: bytes | int, size: int = 0) -> None:
    """Bytes as they are, a number little-endian."""
    piece = value.to_bytes(size, "little") if isinstance(value, int) else value
    raw[at : at + len(piece)] = piece


def nvme_controller(*, capacity: int = 1_000_204_886_016, slots: int = 3) -> bytes:
    """Identify Controller."""
    raw = bytearray(PAGE)
    put(raw, 4, b"S4EVNX0R123456".ljust(20))
    put(raw, 24, b"ACME NVMe 1TB".ljust(40))
    put(raw, 64, b"2B2QEXM7")
    put(raw, 80, 1 << 16 | 4 << 8, 4)
    put(raw, 260, slots << 1, 1)
    put(raw, 280, capacity, 16)
    put(raw, 516, 32, 4)
    put(raw, 768, b"nqn.2014-08.org.nvmexpress:acme")
    return bytes(raw)


def nvme_namespace(*, sectors: int = 1_953_525_168, used: int = 0) -> bytes:
    """Identify Namespace: 512 bytes, and 4096 which it is formatted to if `used` is 1."""
    raw = bytearray(PAGE)
    scale = 8 if used else 1
    for at in (0, 8):
        put(raw, at, sectors // scale, 8)
    put(raw, 16, 1000, 8)
    raw[25], raw[26] = 1, used
    put(raw, 128, 9 << 16 | 2 << 24, 4)
    put(raw, 132, 12 << 16, 4)
    put(raw, 120, bytes.fromhex("0025385b71b0ac11"))
    return bytes(raw)


def nvme_list(*numbers: int) -> bytes:
    """Active Namespace ID list."""
    return struct.pack(f"<{len(numbers)}I", *numbers).ljust(PAGE, b"\0")


def nvme_health(*, warning: int = 0, kelvin: int = 311, used: int = 7, media: int = 0) -> bytes:
    """The health log."""
    raw = bytearray(SECTOR)
    raw[0], raw[3], raw[4], raw[5] = warning, 100, 10, used
    put(raw, 1, kelvin, 2)
    for at, value in ((32, 2000), (48, 1000), (112, 33), (128, 12345), (144, 4), (160, media), (176, 9)):
        put(raw, at, value, 16)
    return bytes(raw)


def summed(raw: bytearray) -> bytes:
    """With its last byte such that all add up to zero."""
    raw[-1] = 0
    raw[-1] = -sum(raw) & 0xFF
    return bytes(raw)


def nvme_self_tests(*found: tuple[int, int, int | None]) -> bytes:
    """The log of self-tests, newest first: kind and result, hours, the place; in segment 3 whatever it was."""
    raw = bytearray(564)
    for place in range(20):
        raw[4 + 28 * place] = 0x0F
    for place, (told, hours, lba) in enumerate(found):
        at = 4 + 28 * place
        raw[at : at + 3] = bytes([told, 3, 0 if lba is None else 2])
        put(raw, at + 4, hours, 8)
        put(raw, at + 16, lba or 0, 8)
    return bytes(raw)


def ata_self_tests(*found: tuple[int, int, int, int], newest: int) -> bytes:
    """SMART's log 6: kind, status, hours, place, from the ring's beginning on."""
    raw = bytearray(SECTOR)
    raw[0] = 1
    for place, (kind, status, hours, lba) in enumerate(found):
        at = 2 + 24 * place
        raw[at : at + 2] = bytes([kind, status])
        put(raw, at + 2, hours, 2)
        put(raw, at + 5, lba, 4)
    raw[508] = newest
    return summed(raw)


def ata_text(text: str, length: int) -> bytes:
    """The letters of each word exchanged."""
    plain = text.ljust(length).encode()
    return bytes(plain[at ^ 1] for at in range(length))


def ata_identity(*, rpm: int = 7200, security: int = 0) -> bytes:
    """IDENTIFY DEVICE."""
    raw = bytearray(SECTOR)
    put(raw, 20, ata_text("WD-WX11A23B4567", 20))
    put(raw, 46, ata_text("80.00A80", 8))
    put(raw, 54, ata_text("WDC WD4003FFBX-68MU3N0", 40))
    for word, value in ((76, 0b1110), (77, 3 << 1), (82, 1), (85, 1), (128, security), (168, 2), (217, rpm)):
        put(raw, 2 * word, value, 2)
    raw[510] = 0xA5
    return summed(raw)


def ata_attributes(*found: tuple[int, int, int, int]) -> bytes:
    """SMART READ DATA: number, flags, value, raw."""
    raw = bytearray(SECTOR)
    for place, (number, flags, value, count) in enumerate(found):
        at = 2 + 12 * place
        raw[at], raw[at + 1], raw[at + 3], raw[at + 4] = number, flags, value, value
        put(raw, at + 5, count, 6)
    return summed(raw)


def ata_thresholds(*found: tuple[int, int]) -> bytes:
    """SMART READ THRESHOLDS: number, threshold."""
    raw = bytearray(SECTOR)
    for place, pair in enumerate(found):
        raw[2 + 12 * place : 4 + 12 * place] = bytes(pair)
    return summed(raw)


def scsi_pages(*pages: int) -> bytes:
    """The log page of log pages."""
    return bytes(2) + len(pages).to_bytes(2) + bytes(pages)


def scsi_page(page: int, *parameters: tuple[int, bytes]) -> bytes:
    """A log page, with room behind it as a disk's answer has."""
    body = b"".join(struct.pack(">HBB", code, 3, len(value)) + value for code, value in parameters)
    return (bytes([page, 0]) + len(body).to_bytes(2) + body).ljust(SECTOR, b"\0")


def sfp(*, diagnosed: bool = True) -> bytes:
    """SFF-8472: an LR module, A0h and A2h."""
    raw = bytearray(512 if diagnosed else 256)
    raw[0], raw[2] = 0x03, 0x07
    for at, text, length in (
        (20, "FINISAR CORP.", 16), (40, "FTLX1471D3BCL", 16), (56, "A", 4), (68, "AGG1234", 16), (84, "240131", 8),
    ):  # fmt: skip
        put(raw, at, text.ljust(length).encode())
    put(raw, 60, (1310).to_bytes(2))
    raw[63] = sum(raw[:63]) & 0xFF
    raw[92] = 0x60 if diagnosed else 0
    if diagnosed:
        for at, value in ((96, 31 * 256 + 128), (102, 5623), (104, 4321)):
            put(raw, 256 + at, value.to_bytes(2))
    return bytes(raw)


def qsfp() -> bytes:
    """SFF-8636: a copper cable of three metres."""
    raw = bytearray(256)
    raw[0], raw[128], raw[130], raw[146], raw[147] = 0x11, 0x11, 0x23, 3, 0xA0
    for at, text, length in (
        (148, "Mellanox", 16), (168, "MCP1600-C003", 16), (184, "A2", 2), (196, "MT2012VS01", 16), (212, "200321", 8),
    ):  # fmt: skip
        put(raw, at, text.ljust(length).encode())
    raw[191] = sum(raw[128:191]) & 0xFF
    return bytes(raw)


def cmis() -> bytes:
    """CMIS: a QSFP-DD of 400 Gbit/s, its connector an MPO."""
    raw = bytearray(256)
    raw[0], raw[128], raw[202], raw[203] = 0x18, 0x18, 1 << 6 | 5, 0x0C
    put(raw, 14, (40 * 256).to_bytes(2))
    for at, text, length in (
        (129, "INNOLIGHT", 16), (148, "T-DP4CNH-N00", 16), (164, "1A", 2), (166, "INKAB123", 16), (182, "220801", 8),
    ):  # fmt: skip
        put(raw, at, text.ljust(length).encode())
    raw[222] = sum(raw[128:222]) & 0xFF
    return bytes(raw)


def driver_info(name: str = "i40e", version: str = "6.12", firmware: str = "9.20 0x8000d87a 1.3429.0") -> bytes:
    """struct ethtool_drvinfo."""
    texts = b"".join(each.encode().ljust(32, b"\0") for each in (name, version, firmware, "0000:19:00.0"))
    return (3).to_bytes(4, "little") + texts.ljust(192, b"\0")


def link_settings(*, speed: int = 10000, words: int = 4, supported: int = 1 << 12 | 1 << 5) -> bytes:
    """struct ethtool_link_settings with its masks."""
    head = struct.pack("<IIBBBBBBBb", 0x4C, speed, 1, 3, 0, 1, 0, 0, 0, words).ljust(48, b"\0")
    masks = (supported, supported, 1 << 12)
    return head + b"".join(mask.to_bytes(4 * words, "little") for mask in masks)


def tpm_properties() -> bytes:
    """A response to GetCapability."""
    told = {0x105: b"IFX\0", 0x106: b"SLB9", 0x107: b"670\0", 0x108: bytes(4), 0x109: bytes(4)}
    pairs = [(number, int.from_bytes(value)) for number, value in told.items()] + [(0x10B, 0x00070055), (0x10C, 0x1100)]
    body = struct.pack(">BII", 0, 6, len(pairs)) + b"".join(struct.pack(">II", *pair) for pair in pairs)
    return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body


def tpm_public(index: int, size: int, attributes: int = 1 << 29 | 1 << 18) -> bytes:
    """A response to NV_ReadPublic."""
    public = struct.pack(">IHIHH", index, 0x000B, attributes, 0, size)
    body = len(public).to_bytes(2) + public + b"\0\2na"
    return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body


def tpm_piece(piece: bytes) -> bytes:
    """A response to NV_Read."""
    value = len(piece).to_bytes(2) + piece
    body = len(value).to_bytes(4) + value + b"\0\0\1\0\0"
    return struct.pack(">HII", 0x8002, 10 + len(body), 0) + body


def certificate(length: int = 900) -> bytes:
    """Something that says in DER how long it is."""
    return b"\x30\x82" + length.to_bytes(2) + bytes(range(256)) * (length // 256) + bytes(length % 256)


def lldp(*found: tuple[int, bytes]) -> bytes:
    """A data unit."""
    return b"".join((kind << 9 | len(value)).to_bytes(2) + value for kind, value in (*found, (0, b"")))
