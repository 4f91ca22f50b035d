# SPDX-License-Identifier: Apache-2.0
"""How much of an ATA drive is shown, and how large it was made, bytes → values. Pure.

A host protected area (ACS-2, section 4.11), an accessible max address (ACS-3, section 4.5) and a device configuration
overlay (ACS-2, section 4.7) each hide its end, with all that was written there. NIST SP 800-88, revision 1, table A-5:
they are to be reset before whatever else, since what they hide cannot be verified.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.erasing.ata import SECTOR_BYTES, word

READ_NATIVE_MAX, GET_NATIVE_MAX, CONFIGURATION = 0x27, 0x78, 0xB1
VALID_MASK, VALID = 0xC000, 0x4000
"""Words 83 and 119 mean something with these bits alone."""
HAS_PROTECTED_AREA, HAS_LONG_ADDRESSES, HAS_OVERLAY = 1 << 10, 1 << 10, 1 << 11
HAS_WORD_119, HAS_MAX_ADDRESS = 1 << 15, 1 << 8
SET_MAX, RESTORE, PERMANENT, BY_ACCESSIBLE = 0x37, 0xC0, 1, 1
"""What undoes each: SET MAX ADDRESS EXT, whose COUNT says that it is to stay over power cuts, right behind the question
for the native address; DEVICE CONFIGURATION RESTORE; SET ACCESSIBLE MAX ADDRESS EXT, a feature of 0x78 (ACS-2, sections
7.10.2 and 7.47; ACS-3, section 7.2.4).
"""
ORDER = (READ_NATIVE_MAX, GET_NATIVE_MAX, CONFIGURATION)
"""An overlay is not taken away under a protected area (ACS-2, section 7.10.6)."""
CHECKSUM_MARK = 0xA5


def shown(raw: bytes) -> int:
    """Sectors that it lets anybody reach, from IDENTIFY DEVICE. Raises `DecodeError`."""
    if len(raw) < SECTOR_BYTES:
        raise DecodeError("reading how large an ATA disk is", f"it has {len(raw)} bytes of {SECTOR_BYTES}")
    return number(raw, 100, 4) if has(raw, HAS_LONG_ADDRESSES) else number(raw, 60, 2)


def questions(raw: bytes) -> tuple[int, ...]:
    """Commands that tell what it hides, of those that it says it has. Of drives with addresses of 28 bits none: they
    end at 128 GiB, and are not made any more.
    """
    word_119 = word(raw, 119)
    found = []
    if word(raw, 86) & HAS_WORD_119 and word_119 & VALID_MASK == VALID and word_119 & HAS_MAX_ADDRESS:
        found.append(GET_NATIVE_MAX)
    elif word(raw, 82) & HAS_PROTECTED_AREA and word(raw, 82) != 0xFFFF and has(raw, HAS_LONG_ADDRESSES):
        found.append(READ_NATIVE_MAX)
    return (*found, CONFIGURATION) if has(raw, HAS_OVERLAY) else tuple(found)


def configured(raw: bytes) -> int:
    """Sectors by DEVICE CONFIGURATION IDENTIFY (ACS-2, table 27): words 3 to 6 are the last one's address. 0 where its
    checksum is not right.
    """
    is_whole = len(raw) == SECTOR_BYTES and raw[510] == CHECKSUM_MARK and not sum(raw) % 256
    return number(raw, 3, 4) + 1 if is_whole else 0


def has(raw: bytes, bit: int) -> bool:
    """A bit of word 83."""
    return word(raw, 83) & VALID_MASK == VALID and bool(word(raw, 83) & bit)


def number(raw: bytes, first: int, words: int) -> int:
    """Of several words."""
    return int.from_bytes(raw[2 * first : 2 * (first + words)], "little")
