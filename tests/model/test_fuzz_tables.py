# SPDX-License-Identifier: Apache-2.0
"""First bytes of any kind: what image they begin, and partition tables; a value, or an error of ours."""

from __future__ import annotations

import contextlib
import random
import struct
import zlib

import pytest

from agent.errors import AgentError, DecodeError, PreconditionError
from agent.model import gpt, mbr
from agent.model.image import ImageFormat
from agent.model.image_kind import HEAD_BYTES, ImageKind, is_vhd_footer, kind_of, misfit
from agent.model.partition_table import fit, partitions, without
from agent.model.plan import Partition
from tests.apply.disks import MIB, gpt_image
from tests.apply.packed import file_of
from tests.apply.test_refusals import FOREIGN
from tests.controller.test_image_formats import vhd_footer
from tests.mutations import EDGES, inputs

SEED = 20261121
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


def checked(head: bytes, noise: random.Random) -> bytes:
    """With right checksums, so that what is behind them is looked at."""
    out, size = bytearray(head), gpt.sector_bytes_of(head) or 512
    if len(out) < 2 * size:
        return head
    at, count, each = struct.unpack_from("<QII", out, size + 72)
    array = bytes(out[at * size : at * size + count * each]) if at * size < len(out) and count * each < 1 << 22 else b""
    struct.pack_into("<I", out, size + 88, zlib.crc32(array))
    struct.pack_into("<I", out, size + 12, length := noise.choice((92, 92, 100, size)))
    struct.pack_into("<I", out, size + 16, 0)
    struct.pack_into("<I", out, size + 16, zlib.crc32(out[size : size + length]))
    return bytes(out)


def test_any_partition_table() -> None:
    """It is fitted to the disk or refused, before anything is written; what is fitted has tables of its size."""
    fitted = 0
    for name, data in inputs(SEED, HEADS, most=6000, longest_s=2.0):
        noise = random.Random(name)
        head = checked(data, noise) if noise.random() < 0.7 else data
        sector = noise.choice((512, 4096))
        try:
            partitions(head, sector)
            found = fit(head, DISK_BYTES, sector, (DRIVE,) if noise.random() < 0.5 else ())
        except (DecodeError, PreconditionError):
            continue
        except Exception as error:
            raise AssertionError(f"input {name}") from error
        fitted += 1
        assert len(found.head) == len(head) and len(found.tail) < MIB, name
        assert set(partitions(head, sector)) <= set(partitions(found.head, sector)), name
    assert fitted > 20


@pytest.mark.parametrize("sector", [512, 4096])
def test_taking_partitions_away(sector: int) -> None:
    """Whatever the table: a head of the same length, or an error of ours."""
    for name, data in inputs(SEED + sector, HEADS, most=1000, longest_s=0.5):
        head = checked(data, random.Random(name))
        try:
            assert len(without(head, sector, frozenset({1, 3, 128}))) == len(head), name
        except AgentError:
            continue


@pytest.mark.parametrize("first", EDGES[:-7])
def test_protective_records_from_anywhere(first: int) -> None:
    """A protective record may begin behind the disk's end."""
    head = bytearray(gpt_image()[:MIB])
    mbr.RECORD.pack_into(head, 446, 0, b"\0\2\0", mbr.PROTECTIVE, b"\xff\xff\xff", first % (1 << 32), 1)
    with contextlib.suppress(DecodeError):
        assert len(fit(bytes(head), DISK_BYTES, 512, (DRIVE,)).head) == MIB


def test_any_beginning() -> None:
    """It is of a known kind or of none, at once; and either fits a format or tells what to do."""
    known: set[ImageKind | None] = set()
    for name, head in inputs(SEED, BEGINNINGS, most=4000, longest_s=1.0):
        noise = random.Random(name)
        kind = kind_of(head[:HEAD_BYTES], noise.choice(("", "a.zvhd", "b.raw?x=.zvhd2")), head[-512:])
        known.add(kind)
        for said in ImageFormat:
            told = misfit(kind, said)
            assert told is None or (str(kind) in told[0] and told[1]), name
        is_vhd_footer(head[:512])
    assert len(known) > len(ImageKind) // 2


def test_every_beginning_is_known() -> None:
    """What is damaged above is whole here."""
    assert all(kind_of(head) is not None for head in BEGINNINGS)
