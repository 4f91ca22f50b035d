# SPDX-License-Identifier: Apache-2.0
"""First bytes of disks and images: partition tables, and what kind of image they begin."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from random import Random

from agent.errors import AgentError, DecodeError, PreconditionError
from agent.model import gpt, mbr
from agent.model.description import describe
from agent.model.esp import partitions as system_partitions
from agent.model.image import ImageFormat
from agent.model.image_kind import HEAD_BYTES, is_vhd_footer, kind_of, misfit
from agent.model.partition_table import fit, partitions, partitions_in_backup, without
from agent.model.plan import Partition
from tests.apply.disks import MIB, gpt_image
from tests.apply.packed import file_of
from tests.apply.test_refusals import FOREIGN
from tests.controller.test_image_formats import vhd_footer
from tests.fuzz.row import Row
from tests.mutations import damaged

DRIVE = Partition(label="config-2", offset_bytes=31 * MIB, size_bytes=64 * MIB)
DISK_BYTES = 96 * MIB
DOS = bytes(446) + mbr.RECORD.pack(0x80, b"\0\2\0", 0x83, b"\xfe\xff\xff", 2048, 8192) + bytes(48) + b"\x55\xaa"
HEADS = [gpt_image()[: 34 * 512], gpt_image(sector_bytes=4096)[: 6 * 4096], DOS.ljust(34 * 512, b"\0")]
BEGINNINGS = [
    *(magic.ljust(512, b"\0") for magic in FOREIGN.values()),
    *(file_of(gpt_image()[: 2 * MIB], one)[:1024] for one in ImageFormat),
    bytes(32769) + b"CD001",
    vhd_footer(),
    *HEADS,
]
REFUSED = (DecodeError, PreconditionError)


def chance(data: bytes) -> Random:
    """What is not in the bytes follows from them, so that an input can be made again."""
    return Random(zlib.crc32(data))


def with_checksums(noise: Random, samples: Sequence[bytes]) -> bytes:
    """Damaged, mostly with the right checksums, so that what is behind them is looked at."""
    head = damaged(noise, samples)
    out, size = bytearray(head), gpt.sector_bytes_of(head) or 512
    if len(out) < 2 * size or noise.random() < 0.3:
        return head
    at, count, each = struct.unpack_from("<QII", out, size + 72)
    mend(noise, out, size, size, at * size, count * each)
    return bytes(out)


def backup_with_checksums(noise: Random, samples: Sequence[bytes]) -> bytes:
    """The same of the copy, whose header is the last sector."""
    tail = damaged(noise, samples)
    if len(tail) < 512 or noise.random() < 0.3:
        return tail
    out, header_at = bytearray(tail), len(tail) - 512
    at, count, each = struct.unpack_from("<QII", out, header_at + 72)
    mend(noise, out, header_at, 512, len(tail) - (DISK_BYTES - at * 512), count * each)
    return bytes(out)


def mend(noise: Random, out: bytearray, header_at: int, sector_bytes: int, start: int, length: int) -> None:
    """The checksums of a header, and of the entries that it says are there."""
    array = bytes(out[start : start + length]) if 0 <= start < len(out) and length < 1 << 22 else b""
    struct.pack_into("<I", out, header_at + 88, zlib.crc32(array))
    struct.pack_into("<I", out, header_at + 12, covered := noise.choice((92, 92, 100, sector_bytes)))
    struct.pack_into("<I", out, header_at + 16, 0)
    struct.pack_into("<I", out, header_at + 16, zlib.crc32(out[header_at : header_at + covered]))


def sector_of(head: bytes) -> int:
    """What the table was made for; at times the other."""
    sector = gpt.sector_bytes_of(head) or 512
    return sector if head in HEADS or chance(head).random() < 0.8 else 4608 - sector


def fitted(head: bytes) -> object:
    """Fitted to the disk, with nothing lost, and tables of its size."""
    sector, noise = sector_of(head), chance(head)
    found = fit(head, DISK_BYTES, sector, (DRIVE,) if noise.random() < 0.5 else ())
    assert len(found.head) == len(head) and len(found.tail) < MIB
    assert set(partitions(head, sector)) <= set(partitions(found.head, sector))
    return found


def read(head: bytes) -> object:
    """Partitions, EFI system partitions, and what an image's description says of them."""
    sector = sector_of(head)
    return partitions(head, sector), list(system_partitions(head, sector)), describe(head, DISK_BYTES)


def taken_away(head: bytes) -> object:
    """A head of the same length, with some partitions less."""
    left = without(head, sector_of(head), frozenset({1, 3, 128}))
    assert len(left) == len(head)
    return left


def backup(tail: bytes) -> object:
    """The end of a disk: nothing is made of what is no table; what is one names as many partitions."""
    found = partitions_in_backup(tail, 512, DISK_BYTES)
    entries = gpt.parse_backup(tail, 512, DISK_BYTES)
    assert len(found) == len(entries)
    return found


def protective(raw: bytes) -> object:
    """A protective record that begins and ends anywhere."""
    head = bytearray(HEADS[0])
    head[446:462] = (bytes([0, 0, 2, 0, mbr.PROTECTIVE]) + raw[5:16].ljust(11, b"\xff"))[:16]
    return fit(bytes(head), DISK_BYTES, 512, (DRIVE,))


def beginning(head: bytes) -> object:
    """Of a known kind or of none; and either it fits a format, or there is something to do. What is whole is known."""
    kind = kind_of(head[:HEAD_BYTES], chance(head).choice(("", "a.zvhd", "b.raw?x=.zvhd2")), head[-512:])
    assert kind is not None or head not in BEGINNINGS
    for said in ImageFormat:
        told = misfit(kind, said)
        assert told is None or (str(kind) in told[0] and told[1])
    return kind, is_vhd_footer(head[:512])


def records() -> list[bytes]:
    """Of GPTs."""
    return [HEADS[0][446:462]]


def tails() -> list[bytes]:
    """Of a disk that an image was fitted to: a little more than the table."""
    return [fit(gpt_image()[:MIB], DISK_BYTES, 512, ()).tail.rjust(40 * 512, b"\0")[-40 * 512 :]]


ROWS = {
    "partition table fitted": Row(fitted, lambda: HEADS, REFUSED, with_checksums),
    "partition table": Row(read, lambda: HEADS, made=with_checksums),
    "partition table without some": Row(taken_away, lambda: HEADS, (AgentError,), with_checksums),
    "partition table's backup": Row(backup, tails, made=backup_with_checksums),
    "protective record": Row(protective, records, REFUSED),
    "image's beginning": Row(beginning, lambda: BEGINNINGS, ()),
}
