# SPDX-License-Identifier: Apache-2.0
"""The conversations: heartbeats, desired state, reports, each over a link that fails."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

import pytest

from agent.errors import ControllerRefused
from agent.host.fake import FakeHost
from agent.job.ledger import Ledger
from agent.job.outbox import Outbox
from agent.link.client import Client
from agent.link.loops import Listener, beat, deliver, jittered
from agent.model.job import JobReport, JobState
from agent.model.protocol import Desired, Heartbeat, Session
from tests.link.answers import answering

SESSION = Session(session_id="s", boot_id="b", mode="service", agent_version="1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNAUTHORIZED = '{"fault": {"code": "AGENT.UNAUTHORIZED", "message": "who are you"}}'
DIRECTORY = "/run/bms-agent"


@dataclass
class Rounds:
    """A clock that ends the test's loop after so many waits, and keeps how long each was to be."""

    left: int

    def __post_init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> datetime:
        """Always the same."""
        return NOW

    def set(self, now: datetime) -> None:
        """It stays the same."""

    def monotonic_s(self) -> float:
        """The sum of the waits."""
        return sum(self.waits)

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Not at all; but count."""
        self.waits.append(timeout_s)
        self.left -= 1
        if self.left <= 0:
            stop.set()
        return stop.is_set()


def heartbeat(sequence: int) -> Heartbeat:
    """A heartbeat."""
    return Heartbeat(session=SESSION, sequence=sequence, at=NOW)


def test_a_lost_heartbeat_is_not_repeated() -> None:
    """After a failure the next heartbeat goes out with the next number, on time."""
    clock = Rounds(3)
    with answering((500, ""), (200, '{"current": true}')) as server:
        beat(Client(server.url), heartbeat, 60.0, clock, Event())

    assert [json.loads(body)["sequence"] for _, _, body in server.asked] == [1, 2, 3]
    assert all(54 <= wait <= 66 for wait in clock.waits)


def test_heartbeats_come_quickly_while_busy() -> None:
    """A running job is followed every two seconds; otherwise the period is spread, so that machines do not march."""
    assert jittered(60.0, busy=True) == 2.0
    assert len({jittered(60.0, busy=False) for _ in range(20)}) > 10


def test_an_unknown_session_ends_the_loop() -> None:
    """A controller that does not know the credential any more ends the process, so that it opens a new session."""
    with answering((401, UNAUTHORIZED)) as server, pytest.raises(ControllerRefused):
        beat(Client(server.url), heartbeat, 60.0, Rounds(3), Event())


def listen(host: FakeHost, *answers: str) -> tuple[Listener, list[int]]:
    """A listener after it heard these answers, or failed over one; the generations that it acted upon."""
    acted: list[int] = []
    with answering(*((200, answer) for answer in answers)) as server:
        ledger = Ledger(host.files, DIRECTORY, "node-1")
        stop = Event()

        def act(desired: Desired) -> None:
            acted.append(desired.generation)
            if len(server.asked) >= len(answers):
                stop.set()

        listener = Listener(Client(server.url), ledger, act, 0.1)
        listener.listen(Rounds(1), stop)
    return listener, acted


def desired(generation: int, **more: object) -> str:
    """On the wire."""
    return json.dumps({"generation": generation, "node_id": "node-1", **more})


def test_listens_and_acts_once() -> None:
    """What is new is acted upon once; the same again is not."""
    _, acted = listen(FakeHost.with_files({}), desired(3), desired(3), desired(3), desired(4))
    assert acted == [3, 4]


def test_generation_going_backwards_is_a_problem() -> None:
    """An older generation is not acted upon, and is told in the heartbeat."""
    listener, acted = listen(FakeHost.with_files({}), desired(3), desired(2))

    assert acted == [3]
    assert listener.fault is not None and listener.fault.code == "DESIRED.GENERATION_OUTDATED"


def test_unknown_fields_are_refused() -> None:
    """An order with a field that we do not know is refused as a whole: it may be a restriction."""
    listener, acted = listen(FakeHost.with_files({}), desired(3, keep_disk="sdb"))

    assert acted == []
    assert listener.fault is not None and listener.fault.code == "INPUT.UNDECODABLE"
    assert "keep_disk" in listener.fault.message


def test_unfinished_work_goes_on_after_a_restart() -> None:
    """What was held before the process started is acted upon before the controller is even asked."""
    host = FakeHost.with_files({})
    Ledger(host.files, DIRECTORY, "node-1").accept(Desired(generation=3, node_id="node-1"))
    _, acted = listen(host.restarted(), desired(4))

    assert acted == [3, 4]


def test_reports_are_delivered_until_confirmed() -> None:
    """Through failures, refusals and nonsense the same reports are sent again, in order, until they are confirmed."""
    outbox = Outbox(FakeHost.with_files({}).files, DIRECTORY, "stream")
    for name in ("a", "b"):
        outbox.put(JobReport(request_id=name, verb="disk.erase", state=JobState.SUCCEEDED, at=NOW))
    answers = ((500, ""), (409, UNAUTHORIZED.replace("UNAUTHORIZED", "ODD")), (200, "?"), (200, '{"acknowledged": 2}'))
    with answering(*answers) as server:
        deliver(Client(server.url), outbox, Rounds(6), Event())

    assert outbox.pending() == ()
    sent = [[one["report"]["request_id"] for one in json.loads(body)["reports"]] for _, _, body in server.asked]
    assert sent == [["a", "b"]] * 4
