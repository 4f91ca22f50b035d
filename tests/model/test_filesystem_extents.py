# SPDX-License-Identifier: Apache-2.0
"""What filesystems of the real mkfs use (`tests.model.disks`), and the sets that it is reckoned in."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.model.filesystem import Extent, bounded, complement, joined, less
from agent.model.filesystem.ext4 import Ext4, set_bits
from agent.model.filesystem.extents import Extents
from agent.model.filesystem.fat import CLUSTER_MASK, STRETCH, free
from agent.model.filesystem.known import kind_of, open_filesystem
from tests.model import disks

KINDS = {"fat16": "vfat", "fat32": "vfat"}
NAMES = sorted(disks.SIZES_MIB)


@pytest.mark.parametrize("name", NAMES)
def test_sound_ones(name: str) -> None:
    """The filesystems as they were made: clean, and most of them free."""
    content, size = disks.load(name)
    read = bounded(content.read, size)
    found = open_filesystem(read, size, kind_of(read, size))

    assert found is not None and found.kind == KINDS.get(name, name.partition("-")[0])
    assert found.unclean is None and found.elsewhere is None
    assert found.uuid in ("7d1ad0a4-3d4b-4c0f-8a43-3f6f2f0c5d11", "7D1A-D0A4")
    assert sum(length for _, length in found.used()) < size // 2


@given(st.binary(max_size=40), st.integers(1, 400))
def test_runs_of_bits(bitmap: bytes, count: int) -> None:
    """The runs are the ones, one by one, and no two touch."""
    count = min(count, 8 * len(bitmap))
    ones = {bit for bit in range(count) if bitmap[bit // 8] >> bit % 8 & 1}
    runs = list(set_bits(bitmap, count))

    assert {start + at for start, length in runs for at in range(length)} == ones
    assert all(first[0] + first[1] < second[0] for first, second in pairwise(runs))


ENTRY = st.sampled_from([0, 0, 1, 7, 0x0FFF, 0x0FFFFFFF, 0xFFFFFFFF, 0xF0000000, 0x10000000])


@given(st.lists(st.tuples(ENTRY, st.integers(1, 2 * STRETCH)), max_size=6), st.sampled_from(["H", "I"]))
def test_free_clusters(runs: list[tuple[int, int]], form: str) -> None:
    """They are those of whose entry the low 28 bits are zero, one by one, whole stretches of them and in between."""
    table = array(form, [value & (1 << 8 * array(form).itemsize) - 1 for value, count in runs for _ in range(count)])
    found = list(free(table.tobytes(), table.itemsize))

    assert [first + at for first, length in found for at in range(length)] == [
        number for number, value in enumerate(table) if not value & CLUSTER_MASK
    ]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=20), st.integers(1, 70))
def test_sets_of_extents(pieces: list[Extent], end: int) -> None:
    """Joining is the union; the complement is what is left; less is the rest; a range gives what is in both."""
    pieces = sorted((start, min(length, end - start)) for start, length in pieces if start < end)
    taken = {start + at for start, length in pieces for at in range(length)}
    union = list(joined(pieces, end, "testing"))
    extents = Extents()
    extents.add(union)

    assert {start + at for start, length in union for at in range(length)} == taken
    rest = {start + at for start, length in complement(union, end, "testing") for at in range(length)}
    assert list(less([(0, end)], union)) == list(complement(union, end, "testing"))
    assert list(less(union, union)) == [] and list(less(union, complement(union, end, "testing"))) == union
    assert rest == set(range(end)) - taken
    assert extents.total_bytes == len(taken)
    half = {at for start, stop in extents.within(end // 3, end // 2) for at in range(start, stop)}
    assert half == taken & set(range(end // 3, end // 2))


def test_extents_that_do_not_fit() -> None:
    """What cannot be added leaves the others as they were."""
    extents = Extents()
    extents.add([(0, 5), (10, 5)])
    with pytest.raises(DecodeError):
        extents.add([(15, 5), (30, 5), (20, 1)])

    assert list(extents) == [(0, 5), (10, 5)]


JOURNAL_CASES = ((0x1C, b"\0\0\0\1"), (0x10, b"\0\0\4\1"), (0, b"\0\0\0\0"), (4, b"\0\0\0\3"))


@pytest.mark.parametrize(("offset", "data"), JOURNAL_CASES)
def test_a_journal_that_is_read(offset: int, data: bytes) -> None:
    """An idle journal's blocks are no part of an image, but for its superblock; one that is not idle, is shorter than
    its file or has no such superblock is kept whole."""
    content, size = disks.load("ext4")
    before = Ext4(content.read, size)
    (first, count), *others = before.idle_blocks()
    whole = sum(length for _, length in before.used())
    content.write((first - 1) * before.block_bytes + offset, data)
    after = Ext4(content.read, size)

    assert others == [] and count == 4095 and after.idle_blocks() == []
    assert sum(length for _, length in after.used()) == whole + count * before.block_bytes
