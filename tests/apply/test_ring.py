# SPDX-License-Identifier: Apache-2.0
"""The ring: every user gets the whole file in order, slots come back, and what is settled is known. And its digest."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.apply.crew import Crew
from agent.apply.digest import Hasher
from agent.apply.meter import Meter
from agent.apply.ring import Feed, Ring
from agent.errors import DigestMismatch
from agent.host.fake import FakeHost, Machine, Tree
from agent.model.image import ImageFormat, ImageRef
from tests.apply.feeds import feed_of

FILE = random.Random(1).randbytes(100_003)
CLOCK = FakeHost.of(Machine.of(Tree())).clock
SLOT_BYTES = 4096


@dataclass
class Memory:
    """A reader."""

    file: bytes
    at: int = 0

    def fill(self, view: memoryview) -> int:
        """The next bytes."""
        piece = self.file[self.at : self.at + len(view)]
        view[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


@given(st.integers(0, 5 * SLOT_BYTES), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=30)
def test_every_user_gets_everything(size_bytes: int, count: int, users: int) -> None:
    """Whatever the file's size, however few slots there are; and all is settled in the end."""
    crew = Crew()
    ring, seen = Ring(crew, count, SLOT_BYTES, users), [bytearray() for _ in range(users)]
    feeds = [Feed(lane, CLOCK) for lane in ring.lanes]

    def use(number: int) -> None:
        while view := feeds[number].read():
            seen[number] += view

    duties = {f"user-{number}": lambda number=number: use(number) for number in range(users)}
    crew.run({"reader": lambda: ring.fill(Memory(FILE[:size_bytes]))} | duties)

    assert all(one == FILE[:size_bytes] for one in seen)
    assert ring.done_bytes == ring.settled_bytes == size_bytes


def test_settled_in_order() -> None:
    """A slot that somebody still holds keeps what follows it from being settled, however soon that is given back."""
    crew = Crew()
    ring = Ring(crew, 4, SLOT_BYTES, 1)
    ring.fill(Memory(FILE[: 3 * SLOT_BYTES - 1]))
    feed = Feed(ring.lanes[0], CLOCK)
    first, second, third = feed.take(), feed.take(), feed.take()
    assert first is not None and second is not None and third is not None and feed.take() is None
    first.hold()
    for slot in (first, third, second):
        slot.release()
        assert ring.settled_bytes == 0
    first.release()

    assert ring.settled_bytes == 3 * SLOT_BYTES - 1


def test_peeking_takes_nothing() -> None:
    """What was peeked at is what is read next, and at the end there is nothing."""
    feed = feed_of(b"abcd", 2)

    assert [bytes(feed.peek()), bytes(feed.peek()), bytes(feed.read()), bytes(feed.peek())] == [
        b"ab",
        b"ab",
        b"ab",
        b"cd",
    ]
    assert [bytes(feed.read()), bytes(feed.read()), bytes(feed.peek()), bytes(feed.read())] == [b"cd", b"", b"", b""]
    feed.drain()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size_bytes", [0, 1, len(FILE)])
def test_digest(algorithm: str, size_bytes: int) -> None:
    """The right one passes and is the result; a wrong one is told with both, after the last byte."""
    file, meter = FILE[:size_bytes], Meter(CLOCK)
    right = hashlib.new(algorithm, file).hexdigest()
    ref = ImageRef.model_validate({"url": "http://a.example/b", "format": ImageFormat.RAW, algorithm: right})
    hasher = Hasher(ref, "writing")
    hasher.run(feed_of(file, 1000), meter)
    assert hasher.result == {algorithm: right}

    feed = feed_of(file + b"!", 1000)
    with pytest.raises(DigestMismatch, match=right):
        Hasher(ref, "writing").run(feed, meter)
    assert not feed.read()
