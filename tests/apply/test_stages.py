# SPDX-License-Identifier: Apache-2.0
"""The stages before and after unpacking: the file over a bad link, its digest, and the sink."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.apply.digest import verified
from agent.apply.sink import GRAIN_BYTES, Sink
from agent.apply.source import TRUNCATIONS, Source
from agent.errors import DigestMismatch, ImageError, ImageOverrun, ImageTooLarge, ImageTruncated, LinkError
from agent.host.fake import FakeDisk, FakeHost, Machine, Page
from agent.model.job import Advance
from tests.apply.disks import MIB, URL, disk_of, machine, serve

FILE = random.Random(1).randbytes(5 * MIB + 17)


def silent(done: int, total: int | None, limited_by: str | None = None, /) -> None:
    """Nobody looks."""


def fetched(made: Machine, advance: Advance = silent, **told: object) -> bytes:
    """The file, as the source gives it."""
    page = made.web.get(URL, Page(FILE))
    image = serve(made, FILE).model_copy(update=told)
    made.web[URL] = page
    return b"".join(Source(FakeHost.of(made), image, advance))


def test_file_as_it_is() -> None:
    """Without trouble there is one request, and progress goes up to the end."""
    made, told = machine(), []
    assert fetched(made, lambda done, total, _=None: told.append((done, total))) == FILE
    assert made.web[URL].opened_at == [0]
    assert told == sorted(told) and told[-1] == (len(FILE), len(FILE))


@given(st.lists(st.integers(1, len(FILE) - 1), unique=True, max_size=6), st.booleans(), st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_any_breaks(places: list[int], does_ranges: bool, refusals: int) -> None:
    """Wherever and however often the connection breaks, each byte comes once and in order."""
    made = machine()
    made.web[URL] = Page(FILE, breaks_at=sorted(places), does_ranges=does_ranges, refusals=refusals)

    assert fetched(made) == FILE


def test_patience_has_an_end() -> None:
    """A server that gives nothing for half an hour is given up; how long it had given before does not count."""
    made = machine()
    made.web[URL] = Page(FILE, refusals=10**6)
    with pytest.raises(LinkError):
        fetched(made)

    assert 1800 <= made.uptime_s <= 2000


def test_body_that_stays_short() -> None:
    """A server that ends the body early each time is given up soon: it has no more."""
    made = machine()
    made.web[URL] = Page(FILE, ends_at=2 * MIB)
    with pytest.raises(ImageTruncated):
        fetched(made)

    assert len(made.web[URL].opened_at) == TRUNCATIONS and made.uptime_s < 200


@pytest.mark.parametrize(("told", "error"), [(len(FILE) - 1, ImageOverrun), (len(FILE) + 1, ImageTruncated)])
@pytest.mark.parametrize("tells_length", [True, False])
def test_length_that_is_not_as_told(told: int, error: type[ImageError], tells_length: bool) -> None:
    """A file longer or shorter than it was said to be is an error, whether the server tells a length or not."""
    made = machine()
    made.web[URL] = Page(FILE, tells_length=tells_length)
    with pytest.raises(error):
        fetched(made, file_bytes=told)


def test_file_that_changed() -> None:
    """A file with another validator after a break is not taken for the rest of the first."""
    made = machine()
    made.web[URL] = Page(FILE, validator='"1"', breaks_at=[3 * MIB])

    def change(done: int, total: int | None, limited_by: str | None = None, /) -> None:
        if done == 3 * MIB:
            made.web[URL] = Page(FILE, validator='"2"')

    with pytest.raises(ImageError, match="changed on the server after 3145728 bytes"):
        fetched(made, change)


@pytest.mark.parametrize("chunks", [[], [b""], [FILE], [FILE[:1], FILE[1:]]])
def test_digest(chunks: list[bytes]) -> None:
    """The chunks pass unchanged; a wrong digest raises after the last."""
    right = hashlib.sha256(b"".join(chunks)).hexdigest()
    assert list(verified(chunks, right, "x")) == chunks
    passed: list[bytes] = []
    with pytest.raises(DigestMismatch, match=right):
        passed.extend(verified(chunks, "0" * 64, "x"))


RUN = st.tuples(st.booleans(), st.integers(1, 5 * GRAIN_BYTES))


@given(st.lists(RUN, max_size=8), st.sampled_from([GRAIN_BYTES, 3 * GRAIN_BYTES]), st.sampled_from([512, 4096]))
@settings(max_examples=60, deadline=None)
def test_sink_is_exact(runs: list[tuple[bool, int]], buffer_bytes: int, sector_bytes: int) -> None:
    """Whatever runs of zeroes and data come, the disk holds them, on whatever was there before, and nothing beside."""
    data = b"".join(bytes(length) if is_hole else b"x" * length for is_hole, length in runs)
    made = machine(8 * MIB, sector_bytes=sector_bytes)
    disk = disk_of(made)
    disk.write(0, b"\xff" * disk.size_bytes)
    with FakeHost.of(made).block.open_exclusive("/dev/sda") as device:
        sink = Sink(device, MIB, 8 * MIB, "writing")
        for at in range(0, len(data), buffer_bytes):
            sink.put(memoryview(data)[at : at + buffer_bytes])
        assert sink.finish() == MIB + len(data)

    padding = -len(data) % sector_bytes
    assert disk.durable.read(MIB, len(data) + padding) == data + bytes(padding)
    assert disk.durable.read(0, MIB) == b"\xff" * MIB
    after = MIB + len(data) + padding
    assert disk.durable.read(after, MIB) == b"\xff" * MIB


class CountingDisk(FakeDisk):
    """Knows how it was written."""

    def __init__(self) -> None:
        super().__init__(64 * MIB)
        self.writes: list[tuple[int, int]] = []
        self.zeroings: list[tuple[int, int]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Counted."""
        self.writes.append((offset, len(data)))

    def zero(self, offset: int, length: int) -> None:
        """Counted."""
        self.zeroings.append((offset, length))


def test_holes_are_zeroed_in_one_piece() -> None:
    """A long hole is one order to the device, over however many buffers it came; data around it is not cut up."""
    made = machine(64 * MIB)
    made.disks["/dev/sda"] = disk = CountingDisk()
    data = b"x" * 4 * MIB + bytes(24 * MIB) + b"x" * 4 * MIB
    with FakeHost.of(made).block.open_exclusive("/dev/sda") as device:
        sink = Sink(device, 0, 64 * MIB, "writing")
        for at in range(0, len(data), 4 * MIB):
            sink.put(memoryview(data)[at : at + 4 * MIB])
        sink.finish()

    assert disk.writes == [(0, 4 * MIB), (28 * MIB, 4 * MIB)]
    assert disk.zeroings == [(4 * MIB, 24 * MIB)]


def test_limit() -> None:
    """Up to the limit exactly, and no byte further, not even of zeroes."""
    made = machine(8 * MIB)
    with FakeHost.of(made).block.open_exclusive("/dev/sda") as device:
        sink = Sink(device, 0, 2 * MIB, "writing")
        sink.put(memoryview(bytes(2 * MIB)))
        with pytest.raises(ImageTooLarge, match="past byte 2097152"):
            sink.put(memoryview(b"\0"))
