# SPDX-License-Identifier: Apache-2.0
"""Hostile filesystems: whatever the bytes, the answer is extents inside the device or `DecodeError`, and it comes soon.

What is damaged are real filesystems (`tests.model.disks`): made-up bytes alone do not get past the first check.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.host.fake.disk import SparseBytes
from agent.model.filesystem import Extent, Filesystem, Read, bounded, complement, joined, less
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.ext4 import Ext4, set_bits
from agent.model.filesystem.extents import Extents
from agent.model.filesystem.fat import Fat
from agent.model.filesystem.known import kind_of, open_filesystem
from agent.model.filesystem.lvm import members
from agent.model.filesystem.swap import Swap
from agent.model.filesystem.xfs import Xfs
from tests.model import disks

KINDS = {"fat16": "vfat", "fat32": "vfat"}
NAMES = sorted(disks.SIZES_MIB)
PARSERS: tuple[Callable[[Read, int], Filesystem], ...] = (Ext4, Xfs, Btrfs, Fat, Swap)
MOST_READS = 5000
# Where superblocks, group headers and tree nodes begin; random places would hit file content.
WORDS = st.sampled_from((0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20, 1 << 40, (1 << 64) - 1))


class Busy(BaseException):
    """More reads than any filesystem of this size can need."""


@cache
def places(name: str) -> list[tuple[int, int]]:
    """(offset, length) of metadata: what is not text of a file."""
    return [(offset, len(data)) for offset, data in disks.pieces(name) if b"texttext" not in data]


def reading(content: SparseBytes, size: int) -> Read:
    """`read`, with an end to its patience."""
    count = 0

    def read(offset: int, length: int) -> bytes:
        nonlocal count
        count += 1
        if count > MOST_READS:
            raise Busy
        return content.read(offset, length)

    return bounded(read, size)


def judge(read: Read, size: int, kind: str | None) -> list[Extent] | None:
    """All that is asked of a filesystem; `None` after a `DecodeError`."""
    try:
        found = open_filesystem(read, size, kind)
        if found is None:
            return None
        assert found.unclean is None or found.unclean
        extents = list(found.used())
    except DecodeError:
        return None
    end = 0
    for offset, length in extents:
        assert end <= offset and length > 0 and offset + length <= size
        end = offset + length
    return extents


@pytest.mark.parametrize("name", NAMES)
def test_sound_ones(name: str) -> None:
    """The filesystems as they were made: clean, and most of them free."""
    content, size = disks.load(name)
    read = reading(content, size)
    found = open_filesystem(read, size, kind_of(read, size))

    assert found is not None and found.kind == KINDS.get(name, name.partition("-")[0])
    assert found.unclean is None and found.elsewhere is None
    assert found.uuid in ("7d1ad0a4-3d4b-4c0f-8a43-3f6f2f0c5d11", "7D1A-D0A4")
    assert sum(length for _, length in found.used()) < size // 2


@st.composite
def damage(draw: st.DrawFn) -> tuple[str, list[tuple[int, bytes]]]:
    """A filesystem, and numbers written over its metadata."""
    name = draw(st.sampled_from(NAMES))
    changes = []
    for _ in range(draw(st.integers(1, 4))):
        offset, length = draw(st.sampled_from(places(name)))
        size = draw(st.sampled_from((1, 2, 4, 8)))
        at = draw(st.one_of(st.integers(0, min(length, 512) - size), st.integers(0, length - size)))
        order = draw(st.sampled_from(("little", "big")))
        word = draw(WORDS | st.integers(0, (1 << 64) - 1)) & (1 << 8 * size) - 1
        changes.append((offset + at, word.to_bytes(size, order)))  # type: ignore[arg-type]
    return name, changes


@settings(max_examples=300)
@given(damage())
def test_damaged_ones(made: tuple[str, list[tuple[int, bytes]]]) -> None:
    """A value or `DecodeError`, after a bounded number of reads."""
    name, changes = made
    content, size = disks.load(name)
    for offset, data in changes:
        content.write(offset, data)
    judge(reading(content, size), size, KINDS.get(name, name.partition("-")[0]))


@given(st.sampled_from(NAMES), st.data())
def test_cut_short(name: str, data: st.DataObject) -> None:
    """A filesystem that is larger than its device is not believed; nor is one with blocks of another in its place."""
    content, size = disks.load(name)
    shorter = data.draw(st.integers(0, size - 1))
    assert judge(reading(content, shorter), shorter, KINDS.get(name, name.partition("-")[0])) is None
    source, target = (data.draw(st.sampled_from(places(name)))[0] for _ in range(2))
    content.write(target, content.read(source, disks.GRAIN_BYTES))
    judge(reading(content, size), size, KINDS.get(name, name.partition("-")[0]))


@given(
    st.binary(max_size=200),
    st.sampled_from((0, 512, 1024, 0x38 + 1024, 4086, 0x10000, 0x10040)),
    st.integers(0, 1 << 62),
)
@example(b"", 0, 0)
def test_random_bytes(raw: bytes, offset: int, size: int) -> None:
    """Any bytes, on a device of any size."""
    content = SparseBytes()
    content.write(offset, raw)
    kind_of(reading(content, size), size)
    for parser in PARSERS:
        try:
            list(parser(reading(content, size), size).used())
        except DecodeError:
            continue
    with pytest.raises(DecodeError):
        members(reading(content, size), size)


@given(st.binary(max_size=40), st.integers(1, 400))
def test_runs_of_bits(bitmap: bytes, count: int) -> None:
    """The runs are the ones, one by one, and no two touch."""
    count = min(count, 8 * len(bitmap))
    ones = {bit for bit in range(count) if bitmap[bit // 8] >> bit % 8 & 1}
    runs = list(set_bits(bitmap, count))

    assert {start + at for start, length in runs for at in range(length)} == ones
    assert all(first[0] + first[1] < second[0] for first, second in pairwise(runs))


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
