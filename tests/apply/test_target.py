# SPDX-License-Identifier: Apache-2.0
"""The disk as an image is written to it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.apply.meter import Meter, Stage
from agent.apply.target import GRAIN_BYTES, Target, make_unbootable, runs
from agent.errors import ImageTooLarge
from agent.host.fake import FakeDisk, FakeHost
from tests.apply.disks import MIB, disk_of, machine

SIZE = 8 * MIB
GRAINS = st.lists(st.sampled_from([b"\0", b"x"]), min_size=1, max_size=20)


def written(
    pieces: list[tuple[int, bytes]], *, limit: int = SIZE, head: int = MIB
) -> tuple[FakeDisk, bytearray, Meter]:
    """A disk full of ones after these pieces, its held-back head, and the counts."""
    made = machine(SIZE)
    disk = disk_of(made)
    disk.write(0, b"\xff" * SIZE)
    host = FakeHost.of(made)
    meter, kept = Meter(host.clock), bytearray(head)
    with host.block.open_exclusive("/dev/sda") as device:
        target = Target(device, kept, limit, meter, "writing")
        for offset, data in pieces:
            target.put_sparse(offset, memoryview(bytearray(data)))
        target.flush()
    return disk, kept, meter


@given(GRAINS)
def test_runs_cover_everything_once(grains: list[bytes]) -> None:
    """Runs follow each other without gaps, are all of one kind, and neighbours differ."""
    data = b"".join(grain * GRAIN_BYTES for grain in grains)[: -GRAIN_BYTES // 2]
    found = list(runs(memoryview(data)))

    assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
    assert found[-1][1] == len(data)
    for start, end, hole in found:
        assert (not any(data[start:end])) == hole
    assert all(one[2] != other[2] for one, other in pairwise(found))


def test_the_head_is_kept_and_not_written() -> None:
    """Data and holes before the head's end go to memory, whether a piece ends in it, reaches over, or lies behind."""
    noise = random.Random(1).randbytes(3 * MIB)
    disk, head, _ = written([(0, noise[: MIB // 2]), (MIB // 2, noise[MIB // 2 :]), (GRAIN_BYTES, bytes(GRAIN_BYTES))])
    expected = bytearray(noise)
    expected[GRAIN_BYTES : 2 * GRAIN_BYTES] = bytes(GRAIN_BYTES)

    assert head == expected[:MIB]
    assert disk.read(0, MIB) == b"\xff" * MIB
    assert disk.read(MIB, 2 * MIB) == noise[MIB:]


def test_holes_are_zeroed_not_written() -> None:
    """Zeroes do not count as written, and nothing old is left under them."""
    disk, _, meter = written([(MIB, b"a" * GRAIN_BYTES + bytes(MIB) + b"b" * GRAIN_BYTES)])

    assert meter.bytes_of(Stage.DISK) == 2 * GRAIN_BYTES
    assert disk.read(MIB + GRAIN_BYTES, MIB) == bytes(MIB)


def test_an_image_may_end_within_a_sector() -> None:
    """The rest of its last sector is zero."""
    disk, _, _ = written([(MIB, b"a" * (GRAIN_BYTES + 100))])

    assert disk.read(MIB + GRAIN_BYTES, 512) == b"a" * 100 + bytes(412)
    assert disk.read(MIB + GRAIN_BYTES + 512, 1) == b"\xff"


@pytest.mark.parametrize("data", [b"x", bytes(1)], ids=["data", "hole"])
def test_the_limit_holds(data: bytes) -> None:
    """Neither data nor a hole reaches past it."""
    written([(2 * MIB, data * GRAIN_BYTES)], limit=2 * MIB + GRAIN_BYTES)
    with pytest.raises(ImageTooLarge):
        written([(2 * MIB, data * (GRAIN_BYTES + 1))], limit=2 * MIB + GRAIN_BYTES)


def test_what_follows_is_cleared() -> None:
    """The MiB behind the image and the last MiB before the limit are zero; what lies between is nobody's business."""
    made = machine(SIZE)
    disk_of(made).write(0, b"\xff" * SIZE)
    host = FakeHost.of(made)
    with host.block.open_exclusive("/dev/sda") as device:
        target = Target(device, bytearray(MIB), 7 * MIB, Meter(host.clock), "writing")
        target.put(MIB, memoryview(bytearray(b"a" * 100)))
        target.clear_what_follows()
    disk = disk_of(made)

    assert disk.read(MIB + 512, MIB) == bytes(MIB)
    assert disk.read(MIB + 512 + MIB, 512) == b"\xff" * 512
    assert disk.read(6 * MIB, MIB) == bytes(MIB)
    assert disk.read(7 * MIB, MIB) == b"\xff" * MIB


def test_made_unbootable() -> None:
    """Both ends of the disk are zero, durably."""
    made = machine(SIZE)
    disk_of(made).write(0, b"\xff" * SIZE)
    with FakeHost.of(made).block.open_exclusive("/dev/sda") as device:
        make_unbootable(device, MIB)
    durable = disk_of(made).durable

    assert not any(durable.read(0, MIB))
    assert not any(durable.read(SIZE - MIB, MIB))
    assert durable.read(MIB, 1) == b"\xff"
