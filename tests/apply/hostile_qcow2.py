# SPDX-License-Identifier: Apache-2.0
"""A corpus of QCOW2 files that mean harm: each is a sound one of a whole image, with a few bytes that are not."""

from __future__ import annotations

import struct
from collections.abc import Callable

from agent.model.qcow2 import EXTERNAL_DATA, HEADER
from tests.apply.deploying import IMAGE
from tests.apply.qcow2 import Shape, qcow2

CLUSTER = 65536
SOUND = qcow2(IMAGE)
PACKED = qcow2(IMAGE, Shape(packed=1.0))
(L1_AT,) = struct.unpack_from(">Q", SOUND, 40)
L2_AT = struct.unpack_from(">Q", SOUND, L1_AT)[0] & 0x00FF_FFFF_FFFF_FE00
COPIED, IS_PACKED = 1 << 63, 1 << 62
BEHIND = len(SOUND)
LONGER = SOUND + bytes(CLUSTER)
FIRST_DATA = L2_AT + 8 * 16
"""The entry of the cluster at 1 MiB."""


def with_word(at: int, *values: int, file: bytes = SOUND) -> bytes:
    """These 64-bit words in place of its own."""
    changed = bytearray(file)
    struct.pack_into(f">{len(values)}Q", changed, at, *values)
    return bytes(changed)


def with_field(at: int, value: int) -> bytes:
    """A 32-bit field of the header."""
    changed = bytearray(SOUND)
    struct.pack_into(">I", changed, at, value)
    return bytes(changed)


def with_backing(name: bytes) -> bytes:
    """A file of the machine that writes it is to show through."""
    changed = bytearray(SOUND)
    struct.pack_into(">QI", changed, 8, 1024, len(name))
    changed[1024 : 1024 + len(name)] = name
    return bytes(changed)


def with_data_file(name: bytes) -> bytes:
    """Its data is in a file of the machine that writes it."""
    changed = bytearray(qcow2(IMAGE, Shape(header={"incompatible": EXTERNAL_DATA})))
    struct.pack_into(">II", changed, 104, 0x44415441, len(name))
    changed[112 : 112 + len(name)] = name
    return bytes(changed)


def own(number: int) -> int:
    """What the entry of that cluster of the disk says."""
    return int(struct.unpack_from(">Q", SOUND, L2_AT + 8 * number)[0])


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a backing file": lambda: with_backing(b"/etc/shadow"),
    "a backing file by protocol": lambda: with_backing(b'json:{"driver":"file","filename":"/dev/sdb"}'),
    "a backing file beyond the end": lambda: with_word(8, 1 << 62),
    "a data file": lambda: with_data_file(b"/dev/sdb"),
    "an L1 table of 32 GiB": lambda: with_field(36, 0xFFFF_FFFF),
    "an L1 table of nothing": lambda: with_field(36, 0),
    "an L1 table in the header": lambda: with_word(40, 0),
    "an L1 table beyond the end": lambda: with_word(40, 1 << 62),
    "an L1 table that is no cluster's": lambda: with_word(40, L1_AT + 8),
    "an L1 table that leads to itself": lambda: with_word(L1_AT, L1_AT | COPIED),
    "an L1 table that leads to the header": lambda: with_word(L1_AT, CLUSTER << 32 | COPIED),
    "an L2 table beyond the end": lambda: with_word(L1_AT, 1 << 50 | COPIED),
    "an L2 table with reserved bits": lambda: with_word(L1_AT, L2_AT | 1 << 60),
    "an L2 table that is data": lambda: with_word(FIRST_DATA, L2_AT | COPIED),
    "the L1 table as data": lambda: with_word(FIRST_DATA, L1_AT | COPIED),
    "two places in one": lambda: with_word(FIRST_DATA, own(17) or own(0)),
    "a cluster beyond the end": lambda: with_word(FIRST_DATA, 1 << 45 | COPIED),
    "a cluster within another": lambda: with_word(FIRST_DATA, own(17) + 512),
    "a packed cluster beyond the end": lambda: with_word(FIRST_DATA, IS_PACKED | 1 << 44),
    "a packed cluster of noise": lambda: with_word(FIRST_DATA, IS_PACKED | (L2_AT + 512)),
    "two compressed ones in one place": lambda: with_word(FIRST_DATA, *2 * (IS_PACKED | BEHIND,), file=LONGER),
    "one compressed within another": lambda: with_word(
        FIRST_DATA, IS_PACKED | 4 << 54 | BEHIND, IS_PACKED | (BEHIND + 512), file=LONGER
    ),
    "a compressed one within a plain one": lambda: with_word(FIRST_DATA, IS_PACKED | (own(17) + 512)),
    "a compressed one that reaches into a plain one": lambda: with_word(
        FIRST_DATA, IS_PACKED | 4 << 54 | (own(17) - 512)
    ),
    "clusters of 2^63 bytes": lambda: with_field(20, 63),
    "clusters of one byte": lambda: with_field(20, 0),
    "a disk of 2^63 bytes": lambda: with_word(24, 1 << 63),
    "a disk of all but 2^63 bytes": lambda: with_word(24, (1 << 63) - 512),
    "a disk of no bytes": lambda: with_word(24, 0),
    "a disk of half a sector": lambda: with_word(24, len(IMAGE) - 256),
    "a header of 4 GiB": lambda: with_field(100, 0xFFFF_FFF8),
    "a header of nothing": lambda: with_field(100, 0),
    "every feature there is": lambda: with_word(72, (1 << 64) - 1),
    "nothing but its first bytes": lambda: SOUND[: HEADER.size],
}

HARMLESS: dict[str, Callable[[], bytes]] = {
    "refcounts beyond the end": lambda: with_word(48, 1 << 62),
    "a refcount table of 256 TiB": lambda: with_field(56, 0xFFFF_FFFF),
    "refcounts of 2^4294967295 bits": lambda: with_field(96, 0xFFFF_FFFF),
    "four thousand million snapshots": lambda: with_field(60, 0xFFFF_FFFF),
    "snapshots beyond the end": lambda: with_word(64, 1 << 62),
    "an extension of 4 GiB": lambda: with_word(104, 0xE2792ACA_FFFFFFFF),
}
"""What no reader needs is not read, whatever it says."""
