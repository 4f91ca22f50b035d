# SPDX-License-Identifier: Apache-2.0
"""Threads that do one work together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from threading import active_count, current_thread

import pytest

from agent.apply.crew import Crew, Lane, Stopped


def test_all_duties_are_done() -> None:
    """Each duty runs in a thread of its name, and the caller is told at the end."""
    seen: list[str] = []
    Crew().run({name: lambda: seen.append(current_thread().name) for name in "abc"}, lambda: seen.append("tick"))

    assert sorted(seen[:-1]) == ["a", "b", "c"]
    assert seen[-1] == "tick"


def test_the_first_failure_ends_all() -> None:
    """Threads that wait for each other end with the one that fails, and its error is the caller's."""
    crew = Crew()
    empty: Lane[int] = Lane(crew)
    full: Lane[int] = Lane(crew, 1)
    full.put(1)
    before = active_count()

    def fail() -> None:
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        crew.run({"reader": lambda: print(empty.get()), "writer": lambda: full.put(2), "failing": fail})  # noqa: T201
    assert active_count() == before


def test_a_refused_tick_ends_the_work() -> None:
    """What the caller's tick raises ends the threads, and is raised."""
    crew = Crew()
    empty: Lane[int] = Lane(crew)

    def refuse() -> None:
        raise KeyError("not wanted")

    with pytest.raises(KeyError):
        crew.run({"waiting": lambda: bool(empty.get())}, refuse)  # type: ignore[dict-item]


def test_death_passes() -> None:
    """Not only errors end the work: whatever a thread raises is raised."""

    class Death(BaseException):
        pass

    def die() -> None:
        raise Death

    with pytest.raises(Death):
        Crew().run({"dying": die})


def test_a_lane_keeps_the_order_and_its_size() -> None:
    """What is put comes out in order; a full lane lets nobody put more before something is taken."""
    crew = Crew()
    lane: Lane[int] = Lane(crew, 2)
    got: list[int] = []
    most = 0

    def write() -> None:
        for number in range(100):
            lane.put(number)

    def read() -> None:
        nonlocal most
        for _ in range(100):
            most = max(most, len(lane))
            got.append(lane.get())

    crew.run({"write": write, "read": read})

    assert got == list(range(100))
    assert most <= 2


def test_check() -> None:
    """A loop that waits for nothing learns that the work ended."""
    crew = Crew()
    crew.check()
    crew.stop.set()
    with pytest.raises(Stopped):
        crew.check()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background job is started deaf to SIGINT, and Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_every_thread() -> None:
    """A key pressed while the caller waits (KeyboardInterrupt) ends the work, and no thread is left behind."""
    before, crew = active_count(), Crew()
    empty: Lane[int] = Lane(crew)

    def press() -> None:
        signal.raise_signal(signal.SIGINT)
        empty.get()

    with pytest.raises(KeyboardInterrupt):
        crew.run({"pressing": press, "waiting": lambda: bool(empty.get())})  # type: ignore[dict-item]
    assert active_count() == before
