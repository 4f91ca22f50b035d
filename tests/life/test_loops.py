# SPDX-License-Identifier: Apache-2.0
"""Loops under watch: what dies, hangs or comes to an end is found out, and what lives is left alone."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from threading import Event

import pytest

from agent.host.clock import RealClock
from agent.life.loops import Loop, Loops
from agent.life.watch import Alive, LoopStuck

SOON_S = 10.0


@pytest.fixture(autouse=True)
def no_end() -> Iterator[None]:
    """A loop that is found stuck would end this process, too."""
    yield
    faulthandler.cancel_dump_traceback_later()


def found(*loops: Loop) -> BaseException | None:
    """What the main thread sees within a while."""
    stop = Event()
    watched = Loops(RealClock(), stop, loops)
    watched.start()
    ends_s = RealClock().monotonic_s() + SOON_S
    while (fault := watched.fault()) is None and RealClock().monotonic_s() < ends_s and not stop.wait(0.01):
        pass
    stop.set()
    return fault


def living(stop: Event, turns: int) -> Loop:
    """Says that it lives, more often than it must; after so many turns it is the test's end."""

    def run(alive: Alive) -> None:
        for _ in range(turns):
            alive()
            stop.wait(0.05)
        stop.set()
        Event().wait(SOON_S)

    return Loop("lives", run, 0.5)


def test_who_lives_is_left_alone() -> None:
    """For longer than it may be silent."""
    stop = Event()
    watched = Loops(RealClock(), stop, (living(stop, 20),))
    watched.start()
    while not stop.wait(0.01):
        assert watched.fault() is None


def test_who_hangs_is_found() -> None:
    """Though it raises nothing; the others do not hide it."""
    stuck = Loop("hangs", lambda _: Event().wait(SOON_S), 0.2)
    fault = found(living(Event(), 1000), stuck)

    assert isinstance(fault, LoopStuck) and "the hangs loop: it was silent for" in str(fault)


def test_who_hangs_and_is_not_vital_is_told() -> None:
    """It ends nothing, and is told for as long as it hangs."""
    stop, back = Event(), Event()

    def hangs(alive: Alive) -> None:
        back.wait(SOON_S)
        while not stop.wait(0.02):
            alive()

    watched = Loops(RealClock(), stop, (Loop("hangs", hangs, 0.2, is_vital=False),))
    watched.start()
    while not watched.problems:
        assert watched.fault() is None
    assert watched.problems[0].code == "AGENT.STUCK" and "the hangs loop" in watched.problems[0].message
    back.set()
    while watched.problems:
        assert watched.fault() is None
    stop.set()
    watched.join(SOON_S)
    watched.check()


def test_who_dies_is_found() -> None:
    """With what killed it, foreign errors and exits too; and who just comes to an end is as dead."""

    def dies(_: Alive) -> None:
        raise SystemExit(3)

    assert isinstance(found(Loop("dies", dies, 60)), SystemExit)
    assert "nobody had asked" in str(found(Loop("ends", lambda _: None, 60)))


def test_who_dies_and_is_not_vital_is_told() -> None:
    """Once, with what killed it, and it ends nothing, however long ago it was heard last."""

    def dies(_: Alive) -> None:
        raise ValueError("no such thing")

    for run, told in (dies, "no such thing"), (lambda _: None, "nobody had asked"):
        stop = Event()
        watched = Loops(RealClock(), stop, (Loop("dies", run, 0.0, is_vital=False),))
        watched.start()
        watched.join(SOON_S)
        (problem,) = watched.problems
        assert "the dies loop has ended" in problem.message and told in problem.message
        stop.set()
        watched.check()


def test_an_end_that_was_asked_for() -> None:
    """It is none that is told."""
    stop = Event()
    watched = Loops(RealClock(), stop, (Loop("ends", lambda _: stop.wait(SOON_S), 60),))
    watched.start()
    stop.set()
    watched.join(SOON_S)
    watched.check()
