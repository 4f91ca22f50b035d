# SPDX-License-Identifier: Apache-2.0
"""Whoever is on the provisioning network, over real sockets and TLS: they cost little, and never keep Ironic out."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import active_count
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from agent.api.ironic import callers, server
from agent.api.ironic.callers import CONNECTIONS, HEAD_BYTES, OF_ONE, Caller, Callers
from tests.api.ironic.served import HOW, TIMEOUT_S, TOKEN, Agent, both, strict, until

MINE = b"POST /v1/commands/?agent_token=" + TOKEN.encode() + b" HTTP/1.1\r\nHost: x\r\n"
SYNC = b'{"name": "standby.sync", "params": {}}'
ELSEWHERE = [f"127.0.0.{number}" for number in range(2, 2 + CONNECTIONS // OF_ONE)]


@pytest.fixture(params=[False, True], ids=["by itself", "by another process"])
def agent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent on a fake machine."""
    with both(tmp_path, request.param) as made:
        yield made


def where(agent: Agent) -> tuple[str, int]:
    """It listens there."""
    parts = urlsplit(agent.url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


@contextmanager
def connected(agent: Agent) -> Iterator[ssl.SSLSocket]:
    """To it, by TLS."""
    with (
        socket.create_connection(where(agent), TIMEOUT_S) as plain,
        strict(agent.ca).wrap_socket(plain, server_hostname=where(agent)[0]) as secured,
    ):
        yield secured


def heard(secured: ssl.SSLSocket) -> bytes:
    """All that it answers."""
    answer = b""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while piece := secured.recv(65536):
            answer += piece
    return answer


def status(answer: bytes) -> int:
    """Of an answer in JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert isinstance(json.loads(body), dict)
    return int(head.split(b" ")[1])


def test_silent_connections_from_elsewhere(agent: Agent) -> None:
    """As many as there is place for, and more, from several addresses: Ironic is answered at once, from its own and
    from theirs; they have no more threads than there are places, and fill no log."""
    before = active_count()
    with ExitStack() as stack, capture_logs() as lines:
        for source in ELSEWHERE:
            for _ in range(OF_ONE * 2):
                plain = socket.create_connection(where(agent), TIMEOUT_S, source_address=(source, 0))
                stack.enter_context(plain)
        began_s = time.monotonic()
        assert agent.listed() == []
        assert time.monotonic() - began_s < server.HANDSHAKE_S
        until(lambda: active_count() <= before + CONNECTIONS + 1)
    assert len([line for line in lines if line["log_level"] != "debug"]) <= 1


def test_connections_that_say_half_a_head(agent: Agent) -> None:
    """TLS is spoken, a request begun, and no more: those who come later have their places."""
    with ExitStack() as stack:
        for _ in range(OF_ONE + 2):
            stack.enter_context(connected(agent)).sendall(b"GET /v1/commands/ HTTP/1.1\r\nX-A: ")
        assert agent.listed() == []


def test_places() -> None:
    """Who was listened to keeps its place; of the others the longest there goes; who finds none is told once."""
    with ExitStack() as stack, capture_logs() as lines:
        pairs = [stack.enter_context(socket.socket()) for _ in range(6)]
        made = Callers(most=3, of_one=2)
        known, silent = (made.admit(pairs[place], "a", 60) for place in (0, 1))
        assert known is not None and silent is not None
        known.is_heard = True
        later = made.admit(pairs[2], "a", 60)
        assert later is not None and not silent.is_now(pairs[1]) and later.is_now(pairs[2])
        later.is_heard = True
        assert made.admit(pairs[3], "a", 60) is None
        assert made.admit(pairs[3], "b", 60) is not None
        assert made.admit(pairs[4], "c", 60) is not None
        made.leave(silent)
        assert made.admit(pairs[5], "a", 60) is None
    assert [line["turned_away"] for line in lines] == [1]


def test_a_time_that_is_over() -> None:
    """Whatever its thread is busy with, the connection is cut; while we work for it, it is not."""
    made = Callers()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        caller = made.admit(ours, "a", 0.0)
        assert isinstance(caller, Caller)
        caller.extend(None)
        made.reap()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        caller.extend(-1.0)
        made.reap()
        assert theirs.recv(1) == b""


def test_a_handshake_that_drips(agent: Agent) -> None:
    """A byte now and then is not a handshake: the connection ends in its time."""
    with socket.create_connection(where(agent), TIMEOUT_S) as plain:
        began_s = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            for byte in b"\x16\x03\x01\x10\x00" + bytes(4096):
                plain.send(bytes([byte]))
                time.sleep(0.2)
        assert time.monotonic() - began_s < server.HANDSHAKE_S + TIMEOUT_S


@pytest.mark.parametrize("line", [b"X: " + b"y" * 60_000 + b"\r\n", b"X: y\r\n"], ids=["long lines", "many lines"])
def test_a_head_without_end(agent: Agent, line: bytes) -> None:
    """It is cut off where it is larger than any, long before it costs memory."""
    with connected(agent) as secured:
        sent = 0
        with suppress(OSError):
            secured.sendall(b"GET / HTTP/1.1\r\n")
            while sent < 64 * HEAD_BYTES:
                secured.sendall(line)
                sent += len(line)
        assert sent < 64 * HEAD_BYTES
    assert agent.listed() == []


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (MINE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 411),
        (MINE + b"Content-Length: 99999999999\r\n\r\n", 413),
        (MINE + b"Content-Length: 1_0\r\n\r\n", 411),
        (MINE + b"Content-Length: 2\r\nContent-Length: 38\r\n\r\n" + SYNC, 400),
        (MINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (MINE + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 411),
        (MINE.replace(b"Host: x", b"Host: evil.example\r\nHost: y") + b"Content-Length: 38\r\n\r\n" + SYNC, 200),
        (MINE.replace(b"1.1", b"1.0") + b"Content-Length: 38\r\n\r\n" + SYNC, 200),
        (MINE + b"Content-Length: 38\r\n\r\n" + SYNC + b"GET / HTTP/1.1\r\n\r\n" * 50, 200),
        (b"GET /v1/status HTTP/1.1\r\n\r\n" * 3, 200),
        (b"GET /\r\n\r\n", 200),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /v1/commands/?agent_token=x HTTP/1.1\r\nContent-Length: " + b"8" * 4400 + b"\r\n\r\n", 401),
    ],
)
def test_nonsense(agent: Agent, request_bytes: bytes, expected: int) -> None:
    """One request has one answer, in JSON, however its bytes are meant; what follows it is nobody's."""
    with connected(agent) as secured:
        secured.sendall(request_bytes)
        answer = heard(secured)

    assert status(answer) == expected
    assert answer.count(b"HTTP/1.0 ") == 1
    assert [one["command_name"] for one in agent.listed()] == (
        ["sync"] if b"POST" in request_bytes and expected == 200 else []
    )


def test_who_has_said_all(agent: Agent) -> None:
    """The connection is half closed by who asks: it is answered."""
    with connected(agent) as secured:
        secured.sendall(MINE + b"Content-Length: 38\r\n\r\n" + SYNC)
        socket.socket.shutdown(secured, socket.SHUT_WR)
        assert status(heard(secured)) == 200


def test_a_body_that_ends_early(agent: Agent) -> None:
    """What is announced and does not come is no order."""
    with connected(agent) as secured:
        secured.sendall(MINE + b"Content-Length: 1000000\r\n\r\n" + SYNC)
        socket.socket.shutdown(secured, socket.SHUT_WR)
        with suppress(ssl.SSLError):  # to TLS that is no end
            assert status(heard(secured)) == 400
    assert agent.listed() == []


@pytest.mark.commands
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_renegotiation(tmp_path: Path) -> None:
    """TLS 1.2 has it, and we do not: whoever asks for it has no second handshake."""
    with both(tmp_path, is_apart=False, how=HOW.model_copy(update={"tls_min_version": None})) as agent:
        host, port = where(agent)
        argv = ["openssl", "s_client", "-tls1_2", "-connect", f"{host}:{port}", "-CAfile", agent.ca]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as client:
            assert client.stdin is not None
            time.sleep(1)
            client.stdin.write("R\n")
            client.stdin.flush()
            with suppress(subprocess.TimeoutExpired):
                client.wait(TIMEOUT_S)
            client.kill()
            said = client.communicate()[0]
        assert "RENEGOTIATING" in said
        assert "no renegotiation" in said
        assert agent.listed() == []
    assert callers.OF_ONE < callers.CONNECTIONS
