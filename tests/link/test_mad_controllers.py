# SPDX-License-Identifier: Apache-2.0
"""Controllers that went mad, went away, or are two: the agent keeps its head, its memory, and its reports."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
import requests

from agent.controller.tls import load_authority, server_context
from agent.errors import AgentError, DecodeError, LinkError
from agent.host.fake import FakeHost
from agent.job.ledger import Ledger
from agent.job.outbox import Outbox
from agent.link.body import LARGEST_BYTES, taken
from agent.link.client import Client
from agent.link.direct import Direct
from agent.link.loops import Listener, beat, deliver
from agent.model.call import Call
from agent.model.job import JobReport, JobState
from agent.model.protocol import Desired, Heartbeat, ReportBatch, ReportsAnswer, Session
from agent.model.request import RebootRequest
from tests.link.answers import answering

RUN = "/run/bms-agent"
PLENTY = b'{"acknowledged": 1, "more": "' + b"x" * (2 * LARGEST_BYTES) + b'"}'
BEFORE_EVERYTHING, LONG_AFTER = datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)


@contextmanager
def saying(*said: bytes, pause_s: float = 0.0, stays: bool = True) -> Iterator[str]:
    """A server that sends this, whatever it is asked; then it falls silent, and keeps the line if it `stays`."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                caller, _ = server.accept()
                with caller:
                    caller.recv(65536)
                    for piece in said:
                        caller.sendall(piece)
                        if over.wait(pause_s):
                            return
                    over.wait(20 if stays else 0)

        thread = Thread(target=serve, name="mad")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            with suppress(OSError), closing(socket.create_connection(server.getsockname(), 1)):
                pass
            thread.join()


def head(length: int | None, *more: str) -> bytes:
    """Of an answer."""
    told = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join(("HTTP/1.1 200 OK", *told, *more, "", "")).encode()


def call(url: str) -> ReportsAnswer:
    """A report is told."""
    return Client(url).post("/v1/agent/reports", ReportBatch(stream_id="s", reports=()), ReportsAnswer)


@pytest.mark.parametrize("length", [len(PLENTY), None])
def test_an_answer_without_end(length: int | None) -> None:
    """It is given up at its bound, whatever length was told."""
    with saying(head(length), PLENTY) as url, pytest.raises(LinkError, match=r"more than [0-9]+ bytes"):
        call(url)


def test_a_packed_answer() -> None:
    """A thousandth of what it unpacks to is no answer either: nobody asked for that, so it is not unpacked."""
    bomb = gzip.compress(PLENTY)
    with saying(head(len(bomb), "Content-Encoding: gzip"), bomb) as url, pytest.raises(LinkError, match="packed"):
        call(url)


def test_an_answer_that_drips() -> None:
    """A byte now and then keeps nobody waiting for ever."""
    with saying(head(100), *[b" "] * 100, pause_s=0.05) as url, requests.get(url, stream=True, timeout=5) as dripping:
        began_s = monotonic()
        with pytest.raises(LinkError, match="bytes of the answer came in"):
            taken(dripping, "calling", 0.5)
    assert monotonic() - began_s < 5


NONSENSE = (
    b"", b"null", b"[]", b"7", b'"yes"', b"{", b"\xff\xfe", b"<html>", b"[" * 100_000, b'{"acknowledged": 1e999}',
    b'{"acknowledged": "' + b"9" * 5000 + b'"}', b'{"acknowledged": -1.5}', b'{"acknowledged": {}}', b"NaN",
)  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense(nonsense: bytes) -> None:
    """It is an error of ours, and nothing else."""
    with saying(head(len(nonsense)), nonsense) as url, pytest.raises(DecodeError):
        call(url)


@pytest.mark.parametrize("noise", [b"\x16\x03\x01", b"SSH-2.0-x\r\n", b"HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n"])
def test_noise(noise: bytes) -> None:
    """What is no HTTP at all is, too."""
    with saying(noise * 3000, stays=False) as url, pytest.raises(AgentError):
        call(url)


def desired(generation: int, request_id: str) -> str:
    """What a controller wants of this node."""
    request = RebootRequest(request_id=request_id, node_id="node-1")
    return Desired(generation=generation, node_id="node-1", request=request).model_dump_json()


def test_two_controllers_that_claim_one_node() -> None:
    """Each has a state for it, behind one address, in turn: the newer counts, the older is refused each time and told,
    and neither is carried out twice.
    """
    acted: list[str] = []
    host, stop = FakeHost.with_files({}), Event()
    answers = [desired(5, "of-a"), desired(3, "of-b"), desired(5, "of-b"), desired(5, "of-a"), desired(6, "of-b")]
    faults: list[str] = []

    def act(wanted: Desired) -> None:
        assert wanted.request is not None
        acted.append(wanted.request.request_id)
        if wanted.generation == 6:
            stop.set()

    with answering(*((200, answer) for answer in answers)) as server:
        listener = Listener(Client(server.url), Ledger(host.files, RUN, "node-1"), act, 0.0)

        class Watching(type(host.clock)):  # type: ignore[misc]
            """Sees what is told while it waits for the next try."""

            def wait(self, stop: Event, timeout_s: float) -> bool:
                """At once."""
                faults.append(listener.fault.code if listener.fault else "")
                return bool(super().wait(stop, timeout_s))

        listener.listen(Watching(host.machine), stop)
    assert acted == ["of-a", "of-b"]
    assert faults == ["DESIRED.GENERATION_OUTDATED", "DESIRED.CONFIGURATION_CHANGED"]


def reported(outbox: Outbox, *names: str) -> None:
    """Jobs that came to their end."""
    for name in names:
        state, at = JobState.SUCCEEDED, datetime(2026, 1, 1, tzinfo=UTC)
        outbox.put(JobReport(request_id=name, verb="disk.erase", state=state, at=at))


def test_a_controller_that_is_away_for_an_hour() -> None:
    """What was done meanwhile is told afterwards: once, in its order, and nothing of it is lost by a restart."""
    host, stop = FakeHost.with_files({}), Event()
    reported(Outbox(host.files, RUN, "s"), "a", "b")
    outbox = Outbox(host.restarted().files, RUN, "another")
    reported(outbox, "c")
    begun_s = host.machine.uptime_s

    class Meanwhile(type(host.clock)):  # type: ignore[misc]
        """Time flies; the controller is back after an hour."""

        def wait(self, stop: Event, timeout_s: float) -> bool:
            """At once, and half a minute later at least."""
            super().wait(stop, max(timeout_s, 30))
            if self.monotonic_s() - begun_s > 3600:
                server.answers[:] = [(200, '{"acknowledged": 3}')]
            if not outbox.pending():
                stop.set()
            return stop.is_set()

    with answering((503, "away")) as server:
        deliver(Client(server.url), outbox, Meanwhile(host.machine), stop)
        told = [json.loads(body) for _, _, body in server.asked]
    assert 3600 < host.machine.uptime_s - begun_s < 3700
    assert [one["sequence"] for one in told[-1]["reports"]] == [1, 2, 3] and told[-1]["stream_id"] == "s"
    assert all(one == told[-1] for one in told)


@pytest.mark.parametrize("jump", [BEFORE_EVERYTHING, LONG_AFTER])
def test_clocks_that_jump(jump: datetime) -> None:
    """Heartbeats go on at their pace and in their order, whatever day the machine believes it is."""
    host, stop, at = FakeHost.with_files({}), Event(), []
    session = Session(session_id="s", boot_id="b", mode="service", agent_version="1")

    def compose(sequence: int) -> Heartbeat:
        host.machine.now = jump + timedelta(seconds=sequence) if sequence % 2 else datetime(2026, 1, 1, tzinfo=UTC)
        at.append(host.clock.monotonic_s())
        if sequence == 10:
            stop.set()
        return Heartbeat(session=session, sequence=sequence, at=host.clock.now(), applied_generation=0)

    with answering((200, '{"current": true}')) as server:
        beat(Client(server.url), compose, 60.0, host.clock, stop)
        sent = [json.loads(body)["sequence"] for _, _, body in server.asked]
    pauses = [later - earlier for earlier, later in pairwise(at)]

    assert sent == list(range(1, 11)) and all(53 < pause < 67 for pause in pauses)


@pytest.mark.parametrize("good", [0, 1])
def test_headers_that_drip(good: int) -> None:
    """Each byte comes in time, and the answer never does: all of a call has an end, over a new connection and over one
    that was good before."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            stream, _ = listening.accept()
            with closing(stream), suppress(OSError):
                for _ in range(good):
                    stream.recv(65536)
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                stream.recv(65536)
                stream.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                for _ in range(400):
                    stream.sendall(b"x")
                    sleep(0.05)

        thread = Thread(target=serve)
        thread.start()
        wire = Direct(f"http://127.0.0.1:{listening.getsockname()[1]}", None, answer_s=2.0)
        for _ in range(good):
            assert wire.exchange(Call(method="GET", target="/"), b"")[1] == b"{}"
        began_s = monotonic()
        with pytest.raises(LinkError, match="no end"):
            wire.exchange(Call(method="GET", target="/"), b"")
        assert monotonic() - began_s < 15
        thread.join()


def test_an_authority_that_drips(tmp_path: Path) -> None:
    """Before anybody is trusted, too: who stands in for the controller holds no call for longer than another answer."""
    context = server_context(load_authority(tmp_path), tmp_path, ("127.0.0.1",))
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            stream, _ = listening.accept()
            with suppress(OSError), closing(context.wrap_socket(stream, server_side=True)) as secured:
                secured.recv(65536)
                secured.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                for _ in range(400):
                    secured.sendall(b"x")
                    sleep(0.05)

        thread = Thread(target=serve)
        thread.start()
        wire = Direct(f"https://127.0.0.1:{listening.getsockname()[1]}", f"sha256:{'0' * 64}", answer_s=1.0)
        began_s = monotonic()
        with pytest.raises(LinkError, match=r"asking .* its authority: its answer has no end"):
            wire.exchange(Call(method="GET", target="/"), b"")
        assert monotonic() - began_s < 8
        thread.join()
