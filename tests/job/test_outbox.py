# SPDX-License-Identifier: Apache-2.0
"""The outbox."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from threading import Event

import pytest

from agent.errors import HostError
from agent.host.fake import FakeHost, FaultPlan
from agent.job.outbox import BOUND, Outbox
from agent.model.job import JobReport, JobState

DIRECTORY = "/var/lib/bms-agent"


def outbox(host: FakeHost, stream_id: str = "stream-1") -> Outbox:
    """The outbox as a starting process opens it."""
    return Outbox(host.files, DIRECTORY, stream_id)


def report(request_id: str, state: JobState = JobState.RUNNING) -> JobReport:
    """A report."""
    return JobReport(request_id=request_id, verb="disk.erase", state=state, at=datetime(2026, 1, 1, tzinfo=UTC))


def sequences(box: Outbox) -> list[int]:
    """Of what waits."""
    return [one.sequence for one in box.pending()]


def test_waits_until_confirmed_over_restarts() -> None:
    """Unconfirmed reports wait in order, in every later process; stream and numbers go on."""
    host = FakeHost.with_files({})
    box = outbox(host)
    for name in ("a", "b", "c"):
        box.put(report(name))
    box.confirm(1)

    again = outbox(host.restarted(), "stream-2")
    assert sequences(again) == [2, 3] and again.stream_id == "stream-1"
    again.confirm(3)
    last = outbox(host.restarted(), "stream-3")
    last.put(report("d"))
    assert sequences(last) == [4] and last.stream_id == "stream-1"


@pytest.mark.parametrize("at", range(1, 4))
def test_a_stream_keeps_its_name(at: int) -> None:
    """Where its name could not be written down when it was opened, it is before the first report: a later process
    delivers what waits in the same stream, so that it counts once.
    """
    host = FakeHost.with_files({})
    with suppress(HostError):
        outbox(host.restarted(FaultPlan(at=at))).put(report("a"))
        assert outbox(host.restarted(), "stream-2").stream_id == "stream-1"


def test_late_and_doubled_confirmations() -> None:
    """A confirmation that comes late or twice takes nothing away."""
    box = outbox(FakeHost.with_files({}))
    for name in ("a", "b"):
        box.put(report(name))
    box.confirm(1)
    box.confirm(1)
    box.confirm(0)

    assert sequences(box) == [2]


def test_remembers_final_reports() -> None:
    """That a final report was put in is known after its confirmation, and in a later process."""
    host = FakeHost.with_files({})
    box = outbox(host)
    box.put(report("a", JobState.FAILED))
    box.put(report("b"))
    box.confirm(2)

    assert [outbox(host.restarted()).reported(name) for name in ("a", "b")] == [True, False]


def test_bounded_but_for_final_reports() -> None:
    """With the controller away, steps' reports are dropped at a bound, oldest first; final ones never."""
    box = outbox(FakeHost.with_files({}))
    box.put(report("first", JobState.SUCCEEDED))
    for _ in range(BOUND + 10):
        box.put(report("r"))

    assert len(box.pending()) == BOUND
    assert sequences(box)[:2] == [1, 13]


def test_wait_empty_can_be_stopped() -> None:
    """Waiting for confirmation ends when told to, and says that it is not confirmed."""
    host = FakeHost.with_files({})
    box = outbox(host)
    assert box.wait_empty(host.clock, Event()) is True
    box.put(report("a"))
    stop = Event()
    stop.set()

    assert box.wait_empty(host.clock, stop) is False
