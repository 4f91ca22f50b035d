# SPDX-License-Identifier: Apache-2.0
"""The split: root asks, another process speaks to the controller. What each believes of the other, and what happens
when either goes away, or goes mad."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import get_args

import pytest
from pydantic import SecretStr

from agent.config import Settings
from agent.errors import AgentError, ConfigError, ControllerRefused, DecodeError, LinkError
from agent.host.fake import FakeHost
from agent.host.line import BODY_BYTES, HEAD_BYTES, Line, dialled
from agent.life.lives import KILLED, STABLE_S, Lives
from agent.life.sd_notify import Notifier
from agent.life.watch import LoopStuck
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.link.process import DOING, serve
from agent.link.relay import Beside, Relay, socket_of
from agent.model import signature
from agent.model.call import CALLS, HEADERS, Call, Opening
from agent.model.frozen import decode
from agent.model.protocol import CERTIFICATE_PATH, Acknowledged, Desired, ReportBatch, ReportsAnswer
from tests.controller.routes import routes
from tests.link.answers import answering
from tests.link.beside import beside, listener, started, user_of
from tests.nobody import NOBODY

BATCH = ReportBatch(stream_id="s", reports=())
TAKEN = (200, '{"acknowledged": 7}')
REFUSED = '{"fault": {"code": "AGENT.WRONG_NONCE", "message": "not this nonce", "hint": "look"}}'
OFF = (401, json.dumps({"fault": {"code": "AGENT.CLOCK", "message": "its clock is -99999 s off ours"}}))
KEY = NodeKey(bytes(32))


def call(url: str, path: str) -> int:
    """A report is told."""
    client = Client(url, SecretStr("credential"), KEY, "session-1", socket=path)
    return client.post("/v1/agent/reports", BATCH, ReportsAnswer).acknowledged


def test_one_table_for_both_sides() -> None:
    """It has every route of an agent's that the controller has, and none else; what a call brings along is signed."""
    assert {(method, path) for method, path in CALLS} == {route.key for route in routes() if route.is_agents} - BROWSED
    assert {*get_args(Call.model_fields["method"].annotation)} == {method for method, _ in CALLS}
    assert {signature.CREDENTIAL, signature.SIGNATURE, *signature.HEADERS} == HEADERS


BROWSED = {("POST", "/v1/agent/phone-home/{nonce}")}
"""Called by cloud-init, where there is no agent."""


def test_call_after_call(tmp_path: Path) -> None:
    """All of a call comes to the controller as it was signed, its answer comes back, and one line serves for many."""
    with beside(tmp_path) as path, answering(TAKEN, (200, '{"generation": 3, "node_id": "n"}'), TAKEN) as server:
        client = Client(f"{server.url}/", SecretStr("credential"), KEY, "session-1", socket=path)
        assert client.post("/v1/agent/reports", BATCH, ReportsAnswer).acknowledged == 7
        assert client.get("/v1/agent/desired", Desired, {"generation": "1", "wait_s": "0.5"}, 0.5).generation == 3
        assert client.post("/v1/agent/reports", BATCH, ReportsAnswer).acknowledged == 7

    assert server.asked[0] == ("/v1/agent/reports", "Bearer credential", BATCH.model_dump_json().encode())
    assert server.asked[1] == ("/v1/agent/desired?generation=1&wait_s=0.5", "Bearer credential", b"")


@pytest.mark.parametrize(
    ("status", "body", "error", "evidence"),
    [
        (503, REFUSED, LinkError, "answered 503"),
        (409, REFUSED, ControllerRefused, "AGENT.WRONG_NONCE: not this nonce"),
        (307, "", ControllerRefused, "HTTP.307"),
        (200, "<html>", DecodeError, "Invalid JSON"),
        (200, "{}", DecodeError, "acknowledged"),
    ],
)
def test_bad_answers(tmp_path: Path, status: int, body: str, error: type[AgentError], evidence: str) -> None:
    """They are root's to judge: the same errors as without the other process, and the next call is made as ever."""
    with beside(tmp_path) as path, answering((status, body), TAKEN) as server:
        with pytest.raises(error, match=evidence) as caught:
            call(server.url, path)
        assert type(caught.value) is error
        assert call(server.url, path) == 7


def test_errors_on_the_other_side(tmp_path: Path) -> None:
    """Nobody there, and a setting that makes no sense: said as they were met, with what to do."""
    with answering(TAKEN) as server:
        away = server.url
    pin = f"sha256:{'0' * 64}"
    with beside(tmp_path) as path:
        with pytest.raises(LinkError, match=re.escape(f"{away}/v1/agent/reports: ConnectionError")):
            call(away, path)
        with pytest.raises(ConfigError, match="is not https") as caught:
            Client(away, ca=pin, socket=path).post("/v1/agent/reports", BATCH, ReportsAnswer)
    assert caught.value.hint == "Correct bms.controller."


def test_the_controllers_clock_is_learnt(tmp_path: Path) -> None:
    """Its time comes with its refusal, and root signs again."""
    with beside(tmp_path) as path, answering(OFF, TAKEN) as server:
        assert call(server.url, path) == 7
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("method", "target", "changed", "refusal"),
    [
        ("POST", "/v1/agent/other", {}, "POST /v1/agent/other is no call of ours"),
        ("GET", "/v1/agent/reports", {}, "GET /v1/agent/reports is no call of ours"),
        ("POST", "/v1/agent/../nodes", {}, "no call of ours"),
        ("POST", "@elsewhere/v1/agent/reports", {}, "no call of ours"),
        ("POST", "/v1/agent/reports", {"kind": "text/html"}, "not 2 of text/html"),
        ("POST", "/v1/agent/reports", {"headers": {"Host": "elsewhere"}}, "no call of ours has a header Host"),
        ("GET", "/v1/agent/desired?x=1", {}, "takes 0 bytes"),
    ],
)
def test_nothing_else_is_called(
    tmp_path: Path, method: str, target: str, changed: dict[str, object], refusal: str
) -> None:
    """What is no row of the table does not leave the machine, whoever asks: who asks it is hung up on."""
    asked = Call.model_validate({"method": method, "target": target, **changed})
    assert refusal in str(asked.refusal(2))
    with beside(tmp_path) as path, answering(TAKEN) as server:
        with pytest.raises(LinkError, match="ended, or hung up"):
            Relay(path, server.url, None).exchange(asked, b"{}")
        assert server.asked == []


def test_a_stranger_is_not_served(tmp_path: Path) -> None:
    """Who is neither root nor the process's own user is hung up on before a word."""
    with beside(tmp_path, trusts={NOBODY}) as path, answering(TAKEN) as server:
        with pytest.raises(LinkError):
            call(server.url, path)
        assert server.asked == []


def test_a_stranger_is_not_asked(tmp_path: Path) -> None:
    """Nor is a word said to who listens there and is neither."""
    with listener(tmp_path / "socket") as listening:
        with pytest.raises(LinkError, match=f"listened to by user {os.geteuid()}, who is not trusted"):
            dialled(str(tmp_path / "socket"), DOING, trusts={NOBODY})
        connected, _ = listening.accept()
        with connected:
            assert connected.recv(1) == b""


def piece(head: bytes, body: bytes = b"") -> bytes:
    """As it is on the line."""
    return struct.pack("!II", len(head), len(body)) + head + body


ANSWER = b'{"answer": {"status": 200}}'
REFUSING = b'{"answer": {"status": 401, "date": "Sun, 22 Nov 2026 10:00:00 GMT"}}'
MAD = {
    b"": "ended, or hung up",
    b"\x00\x00": "hung up within a piece",
    piece(ANSWER, b'{"acknowledged": 1}')[:-1]: "hung up within a piece",
    struct.pack("!II", HEAD_BYTES + 1, 0): "is announced",
    struct.pack("!II", 2, BODY_BYTES + 1): "is announced",
    piece(b"\xff\xfe"): "makes no sense",
    piece(b"{}"): "neither an answer nor a failure",
    piece(b'{"answer": {"status": 200, "order": 1}}'): "makes no sense",
    piece(b'{"answer": {"status": 10}}'): "makes no sense",
    piece(b'{"failed": {"doing": "x"}}'): "makes no sense",
}


@contextmanager
def mad(path: Path, said: bytes) -> Iterator[None]:
    """Whoever has taken that process says this to any call."""
    with listener(path) as listening:

        def speak() -> None:
            connected, _ = listening.accept()
            with connected, suppress(OSError):
                line = Line(connected, "listening")
                line.receive(10)
                line.receive(10)
                connected.sendall(said)
                connected.shutdown(socket.SHUT_WR)
                connected.recv(1)

        thread = Thread(target=speak, name="mad")
        thread.start()
        try:
            yield
        finally:
            thread.join(20)


@pytest.mark.parametrize("said", MAD)
def test_a_process_that_went_mad(tmp_path: Path, said: bytes) -> None:
    """Nothing that it says is more to root than a call that failed."""
    with mad(tmp_path / "socket", said), pytest.raises(LinkError, match=MAD[said]) as caught:
        call("http://controller", str(tmp_path / "socket"))
    assert type(caught.value) is LinkError


@pytest.mark.parametrize("said", [b"{}", b'{"acknowledged": "many"}', b"\xff"])
def test_a_process_that_makes_answers_up(tmp_path: Path, said: bytes) -> None:
    """They are judged by root's own models, like any."""
    with mad(tmp_path / "socket", piece(ANSWER, said)), pytest.raises(DecodeError):
        call("http://controller", str(tmp_path / "socket"))


@pytest.mark.parametrize("said", [b"\x00", piece(b"{}"), piece(b"\xff"), struct.pack("!II", 1 << 31, 1 << 31)])
def test_a_caller_that_went_mad(tmp_path: Path, said: bytes) -> None:
    """It is hung up on, and the next is served."""
    with beside(tmp_path) as path, answering(TAKEN) as server:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.connect(path)
            caller.sendall(said)
            caller.shutdown(socket.SHUT_WR)
            caller.settimeout(20)
            with suppress(ConnectionResetError):
                assert caller.recv(1) == b""
        assert call(server.url, path) == 7


@pytest.mark.commands
def test_the_other_process_is_nobody(tmp_path: Path) -> None:
    """The command that systemd starts: root serves itself by a process without root, and outlives its death: the call
    under way fails, the next waits in the socket until the process is there again."""
    with started(tmp_path) as process, answering(TAKEN) as server:
        client = Client(server.url, SecretStr("credential"), KEY, "session-1", socket=str(process.path))
        assert client.post("/v1/agent/reports", BATCH, ReportsAnswer).acknowledged == 7
        assert process.process is not None and user_of(process.process) == (os.geteuid() or NOBODY)
        process.kill()
        with pytest.raises(LinkError):
            client.post("/v1/agent/reports", BATCH, ReportsAnswer)
        waiting = Thread(target=client.post, args=("/v1/agent/reports", BATCH, ReportsAnswer))
        waiting.start()
        process.start()
        waiting.join(60)
        assert len(server.asked) == 2 and not waiting.is_alive()


def test_without_the_other_process() -> None:
    """By hand, in tests, in an older image there is no socket: this process speaks for itself, and nothing fails."""
    path = str(Settings().link_socket)

    assert socket_of(FakeHost.with_files({}).files, path) is None
    assert socket_of(FakeHost.with_files({path: b""}).files, path) == path
    with answering((200, "{}")) as server:
        Client(server.url).post("/v1/agent/reports", BATCH, Acknowledged)


def test_what_crosses_is_small() -> None:
    """Not the node's key, and of the machine's settings only where the controller is, and by what it is known; with the
    certificate of another key, which is that process's alone."""
    assert set(Opening.model_fields) == {"url", "ca", "shown"}
    assert set(Call.model_fields) == {"method", "target", "kind", "headers", "wait_s"}


@pytest.mark.parametrize("answer", [b'{"answer": {"status": 500}}', REFUSING], ids=["failing", "refusing"])
def test_a_slow_certificate_costs_one_call(tmp_path: Path, answer: bytes) -> None:
    """Whoever speaks for root drags out all that a call takes besides itself: it is given up, not repeated, so that no
    loop is taken for dead; the next call is made without."""
    asked: list[str] = []

    def speak() -> None:
        with suppress(AgentError), Line(listening.accept()[0], "listening") as line:
            line.receive(10)
            while (found := line.receive(10, waits=True)) is not None:
                asked.append(decode(Call, found[0], "listening").path)
                is_report = asked[-1] == "/v1/agent/reports"
                sleep(0 if is_report else 2.5)
                line.send(ANSWER if is_report else answer, b'{"acknowledged": 1}' if is_report else OFF[1].encode(), 10)

    with listener(tmp_path / "socket") as listening:
        thread = Thread(target=speak, name="slow")
        thread.start()
        path, pin = str(tmp_path / "socket"), f"sha256:{'0' * 64}"
        client = Client("https://controller", SecretStr("c"), KEY, "s", pin, path, more_s=2.0)
        with pytest.raises(LinkError, match=r"took more than 2 s"):
            client.post("/v1/agent/reports", BATCH, ReportsAnswer)
        assert client.post("/v1/agent/reports", BATCH, ReportsAnswer).acknowledged == 1
        del client
        thread.join(20)

    assert asked == [CERTIFICATE_PATH, "/v1/agent/reports"]


def test_a_call_without_an_end_ends_that_process(tmp_path: Path) -> None:
    """Whatever it is that hangs there: its room would be taken for ever."""
    ended: list[BaseException] = []

    def run() -> None:
        try:
            serve(listening, Notifier({}), Event(), made_s=0.2)
        except LoopStuck as stuck:
            ended.append(stuck)

    with listener(tmp_path / "socket") as listening, socket.create_server(("127.0.0.1", 0)) as silent:
        thread = Thread(target=run, name="beside")
        thread.start()
        line = dialled(str(tmp_path / "socket"), "calling")
        line.send(Opening(url=f"http://127.0.0.1:{silent.getsockname()[1]}").model_dump_json().encode(), b"", 5)
        line.send(Call(method="POST", target="/v1/agent/reports").model_dump_json().encode(), b"", 5)
        thread.join(20)
        line.close()
    faulthandler.cancel_dump_traceback_later()

    assert [(one.code, "a call (thread" in str(one)) for one in ended if isinstance(one, LoopStuck)] == [
        ("LINK.STUCK", True)
    ]


def test_root_hears_how_that_process_ended(tmp_path: Path) -> None:
    """With each answer, and so does the controller, until it has lived long enough."""
    before, learns = Lives(ended=4, last=KILLED), Beside()
    for began_s, code in ((monotonic(), "LINK.CRASHED"), (monotonic() - STABLE_S, None)):
        lives = before.model_copy(update={"began_s": began_s})
        with beside(tmp_path, before=lives) as path, answering(TAKEN) as server:
            client = Client(server.url, SecretStr("credential"), KEY, "session-1", socket=path, beside=learns)
            client.post("/v1/agent/reports", BATCH, ReportsAnswer)
        assert (learns.fault.code if learns.fault else None) == code
        assert learns.fault is None or "ended 4 times in a row" in learns.fault.message
