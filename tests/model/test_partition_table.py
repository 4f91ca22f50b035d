# SPDX-License-Identifier: Apache-2.0
"""Partition tables: fitted to a disk, or refused; and no bytes that make them raise anything else."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError, ImageTooLarge, PartitionTableError, SectorSizeMismatch
from agent.model import gpt, mbr
from agent.model.partition_table import fit, partitions
from agent.model.plan import Partition
from tests.apply.disks import MIB, gpt_image

DISK = 200 * MIB
DRIVE = Partition(label="config-2", offset_bytes=128 * MIB, size_bytes=64 * MIB)


def mbr_image(*records: tuple[int, int]) -> bytes:
    """An MBR with Linux partitions at these (first LBA, sectors)."""
    head = bytearray(MIB)
    for slot, (first, sectors) in enumerate(records):
        mbr.RECORD.pack_into(
            head, 446 + 16 * slot, 0x80 if slot == 0 else 0, b"\0\0\0", 0x83, b"\0\0\0", first, sectors
        )
    head[510:512] = b"\x55\xaa"
    return bytes(head)


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_gpt_is_fitted(sector_bytes: int) -> None:
    """The backup moves to the disk's end, the usable area grows, the partition is added, the old one stays."""
    head = gpt_image(sector_bytes=sector_bytes)[:MIB]
    fitted = fit(head, DISK, sector_bytes, (DRIVE,))
    table = gpt.parse(fitted.head, sector_bytes)

    assert fitted.kind == "gpt" and table.alternate_lba == DISK // sector_bytes - 1
    assert [(one.name, one.type_guid) for one in table.entries][1] == ("config-2", gpt.BASIC_DATA)
    assert partitions(fitted.head, sector_bytes)[0] == partitions(head, sector_bytes)[0]
    assert partitions(fitted.head, sector_bytes)[1] == (2, DRIVE.offset_bytes, DRIVE.size_bytes)
    assert fitted.tail[-sector_bytes:][:8] == gpt.SIGNATURE and len(fitted.tail) == 128 * 128 + sector_bytes
    assert fitted.head[:446] == head[:446]


def test_backup_is_the_primary_s_mirror() -> None:
    """The backup header's checksum holds, and it points at itself, at LBA 1 and at its own entries (UEFI 5.3.2)."""
    fitted = fit(gpt_image()[:MIB], DISK, 512, ())
    fields = gpt.HEADER.unpack_from(fitted.tail, len(fitted.tail) - 512)

    assert (fields[5], fields[6]) == (DISK // 512 - 1, 1)
    assert fields[10] * 512 == DISK - len(fitted.tail)


def test_partitions_that_there_are_not() -> None:
    """Whoever takes away partitions that the table has no entries for changes nothing behind it."""
    head = gpt_image()[:MIB]
    whole = [number for number, *_ in partitions(head, 512)]

    assert gpt.without(head, 512, frozenset({90, 129, 5000, 1 << 40})) == gpt.without(head, 512, frozenset())
    assert partitions(gpt.without(head, 512, frozenset(whole)), 512) == ()


def test_fitting_is_deterministic() -> None:
    """The same head for the same disk gives the same bytes: nothing here is random."""
    head = gpt_image()[:MIB]
    assert fit(head, DISK, 512, (DRIVE,)) == fit(head, DISK, 512, (DRIVE,))


def test_sector_size_mismatch() -> None:
    """A GPT of 512-byte sectors is refused for a 4Kn disk, and the other way round, with both sizes."""
    with pytest.raises(SectorSizeMismatch, match="sectors of 512 bytes, the disk of 4096"):
        fit(gpt_image()[:MIB], DISK, 4096, ())
    with pytest.raises(SectorSizeMismatch, match="sectors of 4096 bytes, the disk of 512"):
        fit(gpt_image(sector_bytes=4096)[:MIB], DISK, 512, ())


def test_partition_past_the_disk() -> None:
    """An image whose partition ends past the disk is refused."""
    with pytest.raises(ImageTooLarge, match="partition 1 ends at LBA"):
        fit(gpt_image(6 * MIB)[:MIB], 5 * MIB, 512, ())


@pytest.mark.parametrize(
    ("offset", "size", "evidence"),
    [(2 * MIB, MIB, "overlap partition 1"), (199 * MIB, MIB, "usable area"), (0, MIB, "usable area")],
)
def test_gpt_refuses_a_partition(offset: int, size: int, evidence: str) -> None:
    """A partition that overlaps another, the backup or the primary table is refused."""
    with pytest.raises(PartitionTableError, match=evidence):
        fit(gpt_image()[:MIB], DISK, 512, (Partition(label="x", offset_bytes=offset, size_bytes=size),))


def test_mbr_gets_a_record() -> None:
    """An MBR image gets the partition in its first free record; the active one stays active."""
    fitted = fit(mbr_image((2048, 4096)), DISK, 512, (DRIVE,))
    records = mbr.parse(fitted.head) or ()

    assert fitted.kind == "dos" and fitted.tail == b""
    assert [(one.active, one.kind) for one in records] == [(True, 0x83), (False, mbr.FAT32_LBA)]
    assert partitions(fitted.head, 512)[1] == (2, DRIVE.offset_bytes, DRIVE.size_bytes)


@pytest.mark.parametrize(
    ("image", "disk_bytes", "drive", "evidence"),
    [
        (mbr_image((2048, 1), (2049, 1), (2050, 1), (2051, 1)), DISK, DRIVE, "four primary partitions"),
        (mbr_image((2048, 300000)), DISK, DRIVE, "overlap partition 1"),
        (
            mbr_image((2048, 1)),
            3 * 1024**4,
            Partition(label="x", offset_bytes=5 * 2**39, size_bytes=MIB),
            "an MBR cannot",
        ),
        (bytes(MIB), DISK, DRIVE, "no partition table"),
    ],
)
def test_what_cannot_take_the_drive(image: bytes, disk_bytes: int, drive: Partition, evidence: str) -> None:
    """Four primaries, an overlap, a disk too large for an MBR, no table at all: refused, each with its reason."""
    with pytest.raises(PartitionTableError, match=evidence):
        fit(image, disk_bytes, 512, (drive,))


def test_gpt_of_an_earlier_life() -> None:
    """An MBR image with remains of a GPT is an MBR image, for us as for Linux, be the remains damaged or whole."""
    for remains in (gpt_image(), gpt_image(sector_bytes=4096)):
        head = mbr_image((2048, 4096))[:512] + remains[512:MIB]
        fitted = fit(head, DISK, 512, (DRIVE,))

        assert fitted.kind == "dos" and len(partitions(fitted.head, 512)) == 2
        assert partitions(head, 512) == ((1, MIB, 2 * MIB),)


def test_gpt_that_is_gone() -> None:
    """A protective MBR without a GPT behind it is a damaged image, also when nothing must be added."""
    head = gpt_image()[:512] + bytes(MIB - 512)
    with pytest.raises(DecodeError, match="and no GPT"):
        fit(head, DISK, 512, ())


def test_name_that_is_taken() -> None:
    """An image that brings a config drive of its own is refused: the system in it could not tell which one is meant."""
    once = fit(gpt_image()[:MIB], DISK, 512, (DRIVE,)).head
    with pytest.raises(PartitionTableError, match="partition 2 of the image has that name"):
        fit(once, 2 * DISK, 512, (Partition(label="config-2", offset_bytes=DISK, size_bytes=MIB),))


def test_no_table_and_nothing_to_add() -> None:
    """An image without a table is written as it is when nothing must be added."""
    assert fit(bytes(MIB), DISK, 512, ()).head == bytes(MIB)


@given(st.integers(0, MIB - 1), st.integers(1, 255))
def test_damaged_gpt_is_refused(place: int, change: int) -> None:
    """A byte changed anywhere in header or entries is noticed; elsewhere it is the image's own business."""
    head = bytearray(gpt_image()[:MIB])
    head[place] ^= change
    covered = 512 <= place < 512 + 92 or 1024 <= place < 1024 + 128 * 128
    if covered and place not in range(512, 520):
        with pytest.raises(DecodeError):
            gpt.parse(bytes(head), 512)
    elif not covered:
        assert gpt.parse(bytes(head), 512).entries


@given(st.integers(140, 4000), st.integers(0, 60))
def test_nothing_overlaps_or_passes_the_end(disk_mib: int, gap_mib: int) -> None:
    """On every disk, partitions and tables lie apart and inside."""
    size = disk_mib * MIB
    add = Partition(label="c", offset_bytes=(disk_mib - 65 - gap_mib) * MIB, size_bytes=64 * MIB)
    fitted = fit(gpt_image()[:MIB], size, 512, (add,))
    areas = sorted([(0, 34 * 512), (size - len(fitted.tail), len(fitted.tail)),
                    *((offset, length) for _, offset, length in partitions(fitted.head, 512))])  # fmt: skip

    assert all(first + length <= after for (first, length), (after, _) in itertools.pairwise(areas))
    assert sum(areas[-1]) == size


def test_protective_record_reaches_the_end() -> None:
    """The protective MBR record covers the disk, or as much of it as 32 bits can say."""
    head = fit(gpt_image()[:MIB], DISK, 512, ()).head
    assert struct.unpack_from("<II", head, 446 + 8) == (1, DISK // 512 - 1)
    large = fit(gpt_image()[:MIB], 4 * 1024**4, 512, ()).head
    assert struct.unpack_from("<I", large, 446 + 12)[0] == 0xFFFFFFFF
