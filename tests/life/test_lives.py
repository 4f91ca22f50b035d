# SPDX-License-Identifier: Apache-2.0
"""Lives of the agent's processes: ends are counted, told and slowed; a long life makes good."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from agent.config import Settings
from agent.daemon import live
from agent.errors import HostError
from agent.host.fake import Effect, FakeHost, FaultPlan
from agent.ironic import LONGEST_PAUSE_S as IRONIC_PAUSE_S
from agent.life.lives import (
    FILE,
    LINK,
    LONGEST_PAUSE_S,
    STABLE_S,
    Folder,
    Lives,
    Memory,
    Plain,
    lived,
    lives_in,
)
from agent.life.sd_notify import Notifier
from agent.life.watch import SystemTime

RUN = str(Settings().runtime_dir)


def ended_by(host: FakeHost, error: HostError | None, after_s: float = 1.0, *more: float) -> float:
    """One life; how long it waited before it began, and `more`: how long it may wait at most."""
    before_s = host.clock.monotonic_s()
    began: list[float] = []

    def work() -> None:
        began.append(host.clock.monotonic_s() - before_s)
        host.machine.uptime_s += after_s
        if error is not None:
            raise error

    with suppress(HostError):
        live(host, Settings(), Event(), Notifier({}), work, *more)
    return began[0]


def told(host: FakeHost) -> str:
    """What the next process says of those before it."""
    fault = lives_in(Folder(host.files, RUN)).begun(0.0).fault(1.0)
    return "" if fault is None else f"{fault.code} {fault.message}"


def test_ends_are_counted_and_slowed() -> None:
    """Two are free; from then on the pause grows, up to its limit, and the last end is told by its code."""
    host = FakeHost.with_files({})
    waited = [round(ended_by(host, HostError("mending", f"no {number}"))) for number in range(10)]

    assert waited == [0, 0, 0, 5, 10, 20, 40, 80, 120, 120] and max(waited) == LONGEST_PAUSE_S
    assert told(host) == "AGENT.CRASHED this agent ended 10 times in a row; the last time by HOST.ERROR: mending: no 9"


def test_ironic_calls_in_the_meantime() -> None:
    """Its calls wait in the socket that systemd holds, not longer than its patience; it is slowed all the same."""
    host = FakeHost.with_files({})
    waited = [round(ended_by(host, HostError("mending", "no"), 1.0, IRONIC_PAUSE_S)) for _ in range(8)]

    assert waited == [0, 0, 0, 5, 10, 20, 20, 20] and IRONIC_PAUSE_S < 60 / 2


def test_a_long_life_makes_good() -> None:
    """What was before it counts no more, and it is told no more once it has lived so long."""
    host = FakeHost.with_files({})
    for _ in range(5):
        ended_by(host, HostError("mending", "no"))
    before = lives_in(Folder(host.files, RUN)).begun(0.0)
    assert before.fault(STABLE_S - 1) is not None and before.fault(STABLE_S) is None
    ended_by(host, HostError("mending", "no"), after_s=STABLE_S)

    assert lives_in(Folder(host.files, RUN)).ended == 1 and "ended once" in told(host)


def test_who_is_told_to_stop_ended_well() -> None:
    """So does who has nothing to do; and a process that is stopped while it waits begins nothing."""
    host = FakeHost.with_files({})
    for _ in range(4):
        ended_by(host, HostError("mending", "no"))
    stop = Event()
    stop.set()
    assert live(host, Settings(), stop, Notifier({}), lambda: pytest.fail("it began")) is None
    assert lives_in(Folder(host.files, RUN)) == Lives() and told(host) == ""


def test_who_was_killed_did_not_say_so() -> None:
    """The next one knows: the record says that it began, and nothing of its end."""
    host = FakeHost.with_files({})
    for number in range(1, 4):
        with lived(Folder(host.files, RUN), host.clock) as before:
            assert before.ended == number - 1
            kept = host.files.read_bytes(f"{RUN}/{FILE}")
        host.files.write(f"{RUN}/{FILE}", kept)  # as a SIGKILL leaves it

    assert "3 times in a row; the last time by AGENT.KILLED" in told(host)


@pytest.mark.parametrize("content", [b"", b"{", b'{"ended": "x"}', b"\xff"])
def test_a_record_that_is_none(content: bytes) -> None:
    """It keeps nobody from working, and neither does one that cannot be written."""
    host = FakeHost.with_files({f"{RUN}/{FILE}": content})
    assert ended_by(host, None) == 0

    for at in (1, 2, 3, 4):
        full = FakeHost.with_files({}).restarted(FaultPlan(at=at, effect=Effect.FAIL))
        assert ended_by(full, None) == 0


def test_of_every_kind(tmp_path: Path) -> None:
    """Where there is a directory, or memory alone: ends are counted the same, and told by the name of what ended; who
    is started again by nobody counts nothing."""
    told = []
    for shelf in (Plain(tmp_path), Memory(Notifier({})), Plain(None)):
        for _ in range(2):
            with suppress(ValueError), lived(shelf, SystemTime()):
                raise ValueError("no")
        fault = lives_in(shelf).begun(0.0).fault(1.0, LINK)
        told.append(fault and f"{fault.code} {fault.message}")

    said = "LINK.CRASHED the process that speaks to the controller ended 2 times in a row; the last time by AGENT.BUG: "
    assert told == [f"{said}unexpected ValueError: no"] * 2 + [None]
