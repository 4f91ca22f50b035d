# SPDX-License-Identifier: Apache-2.0
"""Going on after death: what is on the disk is not fetched again, and a record that is wrong costs only time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.apply.lender import Owner
from agent.apply.resume import PLACE_BYTES, RECORD, found, key_of, parse, record, segments
from agent.errors import AgentError
from agent.host.fake import Died, FakeHost, FaultPlan, Machine
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import Result
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, serve
from tests.apply.packed import PACKED
from tests.apply.writing import head_of, must_hold, step_of, write

DISK = 64 * MIB
SMALL = gpt_image()
IMAGE = SMALL[: 2 * MIB] + random.Random(2).randbytes(36 * MIB) + SMALL[-2 * MIB :]
GOES_ON = (ImageFormat.RAW, ImageFormat.QCOW2)
KEY = bytes(range(32))
R = TypeVar("R")


@dataclass
class Deadline(FaultPlan):
    """Once the disk is being written, the agent dies where it asks for this byte of the file."""

    at_byte: int = 0
    is_writing: bool = False

    def through(self, call: str, failure: type[AgentError], act: Callable[[], R]) -> R:
        """That call, or one before."""
        if call.startswith("block.opened_exclusively"):
            self.is_writing = True  # not by `|=`: several threads are here
        if self.is_writing and call.startswith("fetch.fill"):
            at = int(call.rstrip(")").rpartition(", ")[2])
            self.dead = self.dead or at >= self.at_byte
        return super().through(call, failure, act)


def killed(made: Machine, image: ImageRef, at_byte: int, *, power_goes: bool) -> None:
    """The agent dies there; of what was not flushed, every second write is on the medium."""
    with pytest.raises(Died):
        write(made, image, Deadline(at_byte=at_byte))
    if power_goes:
        disk_of(made).cut_power(lambda number: number % 2 == 0)
    assert head_of(made) is None


def fetched(result: Result) -> int:
    """How many bytes came from the server."""
    count = result["fetched_bytes"]
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("power_goes", [False, True])
@pytest.mark.parametrize("image_format", GOES_ON)
def test_going_on(image_format: ImageFormat, power_goes: bool) -> None:
    """Dead at 90 %, also by a power cut: what is on the medium is read from there, and the rest is fetched."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    killed(made, image, len(made.web[URL].body) * 90 // 100, power_goes=power_goes)
    result = write(made, image, resumed=True, verify=True)

    must_hold(made, IMAGE)
    reused = result["reused_bytes"]
    assert isinstance(reused, int)
    assert fetched(result) + reused == pytest.approx(len(IMAGE), abs=3 * MIB)
    assert reused > 4 * MIB or power_goes, "`test_resume_real` measures it; a power cut may take the record"


@pytest.mark.parametrize("image_format", GOES_ON)
def test_all_is_there(image_format: ImageFormat) -> None:
    """A disk that was written and not sealed is read, and next to nothing is fetched."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    write(made, image)
    result = write(made, image, resumed=True)

    must_hold(made, IMAGE)
    assert fetched(result) < 3 * MIB and result["written_bytes"] == 0


@pytest.mark.parametrize("image_format", GOES_ON)
def test_disk_that_changed_meanwhile(image_format: ImageFormat) -> None:
    """A disk that is not what its record says costs a second try, which fetches everything."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    write(made, image)
    disk_of(made).write(20 * MIB, b"somebody")
    disk_of(made).flush()
    result = write(made, image, resumed=True)

    must_hold(made, IMAGE)
    assert result["reused_bytes"] == 0 and fetched(result) > 0.9 * len(IMAGE)


@pytest.mark.parametrize("image_format", GOES_ON)
def test_server_without_ranges(image_format: ImageFormat) -> None:
    """Raw images begin anew there. QCOW2 cannot be had from such a server at all."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    write(made, image)
    if image_format is ImageFormat.RAW:
        made.web[URL].does_ranges = False
        assert fetched(write(made, image, resumed=True)) >= len(IMAGE)
        must_hold(made, IMAGE)


@pytest.mark.parametrize("image_format", GOES_ON)
def test_another_image(image_format: ImageFormat) -> None:
    """The record of one image is nothing to another, nor is that of another format."""
    made = machine(DISK)
    write(made, serve(made, IMAGE, image_format))
    other = gpt_image(40 * MIB, seed=2)
    result = write(made, serve(made, other, image_format), resumed=True)

    must_hold(made, other)
    assert result["reused_bytes"] == 0


@pytest.mark.parametrize("image_format", PACKED)
def test_packed_streams_begin_anew(image_format: ImageFormat) -> None:
    """They leave no record, and look at none."""
    made = machine(DISK)
    ref = serve(made, SMALL, image_format)
    write(made, ref)
    assert not any(disk_of(made).durable.read(DISK - MIB, MIB))
    result = write(made, ref, resumed=True)

    must_hold(made, SMALL)
    assert result["reused_bytes"] == 0


@pytest.mark.parametrize("done_bytes", [0, MIB, 10**18, 2**64 - 1])
@pytest.mark.parametrize("image_format", GOES_ON)
def test_forged_records(image_format: ImageFormat, done_bytes: int) -> None:
    """Whatever a record says of an empty disk: the image is right in the end."""
    made = machine(DISK)
    ref = serve(made, SMALL, image_format)
    step = step_of(made, ref)
    disk_of(made).write(DISK - MIB, record(key_of(ref, step.disk, MIB), 2**63, done_bytes))
    disk_of(made).flush()
    write(made, ref, resumed=True, verify=True)

    must_hold(made, SMALL)


def test_the_later_of_two_records() -> None:
    """Two places are written in turn; the later one that is whole counts."""
    made = machine(DISK)
    ref = serve(made, SMALL)
    step = step_of(made, ref)
    key, disk = key_of(ref, step.disk, MIB), disk_of(made)
    for number, first, second in ((7, 1, 2), (7, 2, 1), (7, 7, 0)):
        disk.write(DISK - MIB, record(key, first, first * 1000))
        disk.write(DISK - MIB + PLACE_BYTES, record(key, second, second * 1000))
        assert found(Owner(FakeHost.of(made), step), step, ref) == max(first, second) * 1000, number
    disk.write(DISK - MIB, bytes(PLACE_BYTES))
    assert found(Owner(FakeHost.of(made), step), step, ref) == 0


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 8 * RECORD.size - 1))
def test_a_record_is_whole_or_none(sequence: int, done: int, bit: int) -> None:
    """It says what was written, to whom it belongs; with any bit turned it says nothing."""
    data = bytearray(record(KEY, sequence, done))
    assert len(data) == PLACE_BYTES and parse(bytes(data), KEY) == (sequence, done)
    assert parse(bytes(data), bytes(32)) == (0, 0)
    data[bit // 8] ^= 1 << bit % 8
    assert parse(bytes(data), KEY) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(0, 400)), max_size=6), st.integers(0, 60))
def test_segments_cover_the_file(made: list[tuple[int, int, int]], head: int) -> None:
    """Each byte of the file comes once, in order; from the disk only what is behind the head."""

    def parts() -> Iterator[tuple[int, int, int]]:
        at = 0
        for gap, length, place in made:
            yield at + gap, place, length
            at += gap + length

    total = sum(gap + length for gap, length, _ in made) + 5
    places = {at + number: place + number for at, place, length in parts() for number in range(length)}
    seen = 0
    for start, end, place in segments(parts(), head, total):
        assert start == seen
        seen = total if end is None else end
        for at in range(start, seen):
            expected = places.get(at)
            is_there = expected is not None and expected >= head
            assert (place is not None) == is_there and (place is None or place + at - start == expected)
    assert seen == total
