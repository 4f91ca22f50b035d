# SPDX-License-Identifier: Apache-2.0
"""Calls to Ironic's API: what is sent, and what its answers mean."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from agent.errors import ControllerRefused, DecodeError, LinkError
from agent.link.ironic.client import Ironic
from agent.model.ironic.call import Manner
from agent.model.ironic.wire import Beat
from tests.link.answers import answering

UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
NOBODY = "http://127.0.0.1:9"
LOOKUP = {
    "node": {"uuid": UUID, "properties": {"root_device": {"wwn": "0x5"}}, "instance_info": {}, "links": []},
    "config": {"heartbeat_timeout": 300, "agent_token": "t" * 43, "tls_min_version": "1.3", "metrics": {}},
}
BEAT = Beat(
    callback_url="https://192.0.2.10:9999",
    agent_token=SecretStr("t" * 43),
    agent_version="x",
    agent_verify_ca="PEM",
    agent_status_message="idle",
)


def refusal(status: int, text: str) -> tuple[int, str]:
    """As Ironic says it: JSON in JSON."""
    return status, json.dumps({"error_message": json.dumps({"faultstring": text, "faultcode": "Client"})})


def test_lookup(way: str | None) -> None:
    """By all MACs and, after an inspection, the UUID; fields that are not known are no harm."""
    with answering((200, json.dumps(LOOKUP))) as server:
        found = Ironic([server.url], socket=way).lookup(["aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:fe"], UUID)

    path = "/v1/lookup?addresses=aa%3Abb%3Acc%3Add%3Aee%3Aff%2Caa%3Abb%3Acc%3Add%3Aee%3Afe&node_uuid=" + UUID
    assert [asked[0] for asked in server.asked] == [path]
    assert found.node.properties == {"root_device": {"wwn": "0x5"}}
    assert found.config.agent_token is not None
    assert found.config.agent_token.get_secret_value() == "t" * 43


def test_heartbeat(way: str | None) -> None:
    """Token, certificate and URL are in the body, nothing of it in the URL."""
    with answering((202, "")) as server:
        Ironic([server.url], socket=way).heartbeat(UUID, BEAT)

    ((path, _, body),) = server.asked
    assert path == f"/v1/heartbeat/{UUID}"
    assert json.loads(body) == {
        "callback_url": "https://192.0.2.10:9999",
        "agent_token": "t" * 43,
        "agent_version": "x",
        "agent_verify_ca": "PEM",
        "agent_status_message": "idle",
    }


def test_inspection(way: str | None) -> None:
    """The node's UUID comes back; an answer without it is no answer."""
    with answering((202, json.dumps({"uuid": UUID})), (202, "[]")) as server:
        ironic = Ironic([], callbacks=[f"{server.url}/v1/continue_inspection"], socket=way)
        assert ironic.inspected(b"{}") == UUID
        with pytest.raises(DecodeError):
            ironic.inspected(b"{}")
    assert [path for path, _, _ in server.asked] == ["/v1/continue_inspection"] * 2
    assert server.versions == [None] * 2


def test_who_does_not_answer_is_passed_over(way: str | None) -> None:
    """Several APIs may be named; the first that answers counts, whatever it says."""
    with (
        answering(refusal(404, "Node not found")) as server,
        pytest.raises(ControllerRefused, match="404: Node not found"),
    ):
        Ironic([NOBODY, server.url, NOBODY], socket=way).lookup([], None)
    with pytest.raises(LinkError, match="ConnectionError"):
        Ironic([NOBODY], socket=way).lookup([], None)


@pytest.mark.parametrize("status", [409, 500, 503])
def test_another_time(status: int, way: str | None) -> None:
    """A node that is locked, or an API that is ill, is asked again (T29)."""
    with answering(refusal(status, "locked")) as server, pytest.raises(LinkError, match="locked") as caught:
        Ironic([server.url], socket=way).heartbeat(UUID, BEAT)
    assert caught.value.retryable


@pytest.mark.parametrize("status", [301, 400, 401, 403])
def test_no(status: int, way: str | None) -> None:
    """A redirect could lead the token anywhere: it is not followed."""
    with answering(refusal(status, "no")) as server, pytest.raises(ControllerRefused) as caught:
        Ironic([server.url], socket=way).heartbeat(UUID, BEAT)
    assert not caught.value.retryable
    assert "t" * 43 not in str(caught.value)


@pytest.mark.parametrize("body", ["", "nonsense", "[]", '{"error_message": 5}', '{"error_message": "plain"}', "<html>"])
def test_whatever_stands_between(body: str, way: str | None) -> None:
    """A proxy's answer is shown as it is."""
    with answering((400, body)) as server, pytest.raises(ControllerRefused, match="400: "):
        Ironic([server.url], socket=way).lookup([], None)


@contextmanager
def dripping(beginning: bytes) -> Iterator[int]:
    """A server that begins its answer so, and then says a byte now and then while anybody listens; its port."""
    over = Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            with suppress(OSError):
                while not over.is_set():
                    stream, _ = listening.accept()
                    with suppress(OSError), closing(stream):
                        stream.sendall(beginning)
                        while not over.wait(0.05):
                            stream.sendall(b"x")

        thread = Thread(target=serve, name="dripping")
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("scheme", "beginning"),
    [
        ("http", b"HTTP/1.1 202 Accepted\r\nX-Slow: "),
        ("http", b"HTTP/1.1 202 Accepted\r\n\r\n"),
        ("http", b"HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n"),
        ("https", b"\x16\x03\x03\x40\x00"),
    ],
    ids=["headers", "a body without an end", "a body", "a handshake"],
)
def test_who_drips_is_cut(scheme: str, beginning: bytes, way: str | None) -> None:
    """Each byte comes in time, and the answer never does: the call ends all the same, and the next one is made anew."""
    with dripping(beginning) as port, answering((202, "")) as good:
        ironic = Ironic(
            [f"{scheme}://127.0.0.1:{port}"], Manner(connect_timeout_s=0.3, answer_timeout_s=0.2), socket=way
        )
        began_s = time.monotonic()
        with pytest.raises(LinkError, match=r"its answer has no end|ReadTimeout"):
            ironic.heartbeat(UUID, BEAT)
        assert 0.2 < time.monotonic() - began_s < 10

        both = Ironic(
            [f"{scheme}://127.0.0.1:{port}", good.url], Manner(connect_timeout_s=2, answer_timeout_s=2), socket=way
        )
        both.heartbeat(UUID, BEAT)
        assert len(good.asked) == 1
