# SPDX-License-Identifier: Apache-2.0
"""Data and holes on their way to a disk: exact, and holes in pieces become long ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.apply.holes import LONG_BYTES, MOST_RUNS, Holes
from agent.apply.meter import Meter
from agent.apply.pour import Opened
from agent.apply.target import GRAIN_BYTES, Target
from agent.errors import ImageTooLarge
from agent.host.fake import FakeDisk, FakeHost
from tests.apply.disks import MIB, disk_of, machine

RUN = st.tuples(st.booleans(), st.integers(1, 5 * GRAIN_BYTES))


class CountingDisk(FakeDisk):
    """Knows how it was written."""

    def __init__(self, size_bytes: int = 64 * MIB) -> None:
        super().__init__(size_bytes)
        self.writes: list[tuple[int, int]] = []
        self.zeroings: list[tuple[int, int]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Counted."""
        self.writes.append((offset, len(data)))

    def zero(self, offset: int, length: int) -> None:
        """Counted."""
        self.zeroings.append((offset, length))


def put(disk: FakeDisk, pieces: list[tuple[int, bytes]], limit_bytes: int) -> None:
    """Pieces at whole grains, as a writer puts them; then a flush."""
    made = machine(disk.size_bytes)
    made.disks["/dev/sda"] = disk
    host = FakeHost.of(made)
    with host.block.open_exclusive("/dev/sda") as device:
        target = Target(device, bytearray(MIB), limit_bytes, Meter(host.clock), "writing")
        opened = Opened(bytes(MIB), target, Holes(target), None, None)
        for at, data in pieces:
            opened.put(at, memoryview(data), is_there=False)
        opened.flush()


@given(st.lists(RUN, max_size=8), st.sampled_from([1, 3]), st.sampled_from([512, 4096]), st.randoms())
@settings(max_examples=60)
def test_every_byte(runs: list[tuple[bool, int]], grains: int, sector_bytes: int, order: random.Random) -> None:
    """Whatever data and zeroes come, in whatever order, the disk holds them, and nothing beside is touched."""
    data = b"".join(bytes(length) if is_hole else b"x" * length for is_hole, length in runs)
    disk = disk_of(machine(8 * MIB, sector_bytes=sector_bytes))
    disk.write(0, b"\xff" * disk.size_bytes)
    size = grains * GRAIN_BYTES
    pieces = [(MIB + at, data[at : at + size]) for at in range(0, len(data), size)]
    order.shuffle(pieces)
    put(disk, pieces, 8 * MIB)
    padding = -len(data) % sector_bytes
    end = MIB + len(data) + padding

    assert disk.durable.read(MIB, len(data) + padding) == data + bytes(padding)
    assert disk.durable.read(0, MIB) == b"\xff" * MIB
    assert disk.durable.read(end, MIB) == b"\xff" * MIB


def test_holes_in_pieces_are_zeroed_as_one() -> None:
    """A long hole is one order to the device, over however many pieces it came and in whatever order."""
    disk = CountingDisk()
    data = b"x" * 4 * MIB + bytes(24 * MIB) + b"x" * 4 * MIB
    pieces = [(MIB + at, data[at : at + MIB]) for at in range(0, len(data), MIB)]
    random.Random(3).shuffle(pieces)
    put(disk, pieces, 64 * MIB)

    assert sum(length for _, length in disk.writes) == 8 * MIB
    assert disk.zeroings == [(5 * MIB, 24 * MIB)]


def test_few_runs_are_kept() -> None:
    """A disk of crumbs costs no memory: after so many runs all are zeroed."""
    disk = CountingDisk()
    crumbs = [(MIB + 2 * number * GRAIN_BYTES, bytes(GRAIN_BYTES)) for number in range(MOST_RUNS + 1)]
    put(disk, crumbs, 64 * MIB)

    assert sorted(disk.zeroings) == [(at, GRAIN_BYTES) for at, _ in crumbs]


def test_a_bomb_of_zeroes_is_found_early() -> None:
    """Zeroes past the limit are an error when a long run of them came, not when the last of them did."""
    disk, grain = CountingDisk(4 * LONG_BYTES), bytes(4 * MIB)
    pieces = [(MIB + at, grain) for at in range(0, 2 * LONG_BYTES, len(grain))]
    with pytest.raises(ImageTooLarge, match=f"past byte {8 * MIB}"):
        put(disk, pieces, 8 * MIB)

    assert not disk.zeroings
