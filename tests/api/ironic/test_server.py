# SPDX-License-Identifier: Apache-2.0
"""HTTPS, routes, token: whatever comes, the answer is JSON that Ironic can read, and nothing is spoiled by it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent import __version__
from tests.api.ironic.served import TIMEOUT_S, TOKEN, Agent, both, strict

KEYS = ["id", "command_name", "command_status", "command_error", "command_result"]


@pytest.fixture(params=[False, True], ids=["by itself", "by another process"])
def agent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent on a fake machine."""
    with both(tmp_path, request.param) as made:
        yield made


def test_pages_without_a_token(agent: Agent) -> None:
    """What Ironic's tools look at first is open."""
    assert agent.get("/", None).json()["default_version"]["id"] == "v1"
    assert agent.get("/v1/", None).json()["id"] == agent.get("/v1", None).json()["id"] == "v1"
    assert agent.get("/v1/status", None).json() == {"started_at": 1.5, "version": __version__}


@pytest.mark.parametrize("token", [None, "", "t" * 42, "ü", TOKEN + "t"])
def test_wrong_token(agent: Agent, token: str | None) -> None:
    """Without Ironic's token nothing is told and nothing is done."""
    told = {"faultcode": "Client", "faultstring": "401 Unauthorized: Token invalid."}

    for path in ("/v1/commands/", "/v1/commands", "/commands/", "/v1/commands/x"):
        answer = agent.get(path, token)
        assert (answer.status_code, answer.json()) == (401, told)
    assert agent.post("standby.sync", token=token) == told | {"status": 401}
    assert agent.listed() == []


@pytest.mark.parametrize(
    ("name", "params", "status", "told"),
    [
        (None, {}, 400, "400 Bad Request: Missing or invalid name or params"),
        ("standby.sync", [], 400, "400 Bad Request: Missing or invalid name or params"),
        ("sync", {}, 400, "Invalid command: Command name must be of the form <extension>.<name>"),
        ("\ud800.x", {}, 400, "Invalid command: Command name must be of the form <extension>.<name>"),
        ("nope.sync", {}, 404, "Not found: Extension with id nope not found."),
        ("standby.nope", {}, 400, "Invalid command: Unknown command: nope"),
        ("deploy.execute_deploy_step", {}, 400, "Invalid command: step and node: body: Input should be"),
        ("rescue.finalize_rescue", {"rescue_password": "x:0:0", "hashed": True}, 400, "Invalid command: rescue_pass"),
    ],
)
def test_wrong_orders(agent: Agent, name: object, params: object, status: int, told: str) -> None:
    """What cannot be understood is refused in IPA's words, and is not listed."""
    answer = agent.post(name, params)

    assert (answer["status"], answer["faultcode"]) == (status, "Client")
    assert answer["faultstring"].startswith(told)
    assert agent.listed() == []


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/v1/commands/a/b", "/v1/status/x", "/v1/commands/%00"])
def test_no_such_page(agent: Agent, path: str) -> None:
    """With a faultstring, too."""
    answer = agent.get(path)

    assert answer.status_code == 404
    assert answer.json()["faultstring"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods(agent: Agent, method: str) -> None:
    """They are refused in JSON."""
    answer = agent.ask(method, "/v1/commands/", TOKEN, {})

    assert answer.status_code == 501
    assert answer.json()["faultstring"]


def raw(agent: Agent, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer to these bytes."""
    where = urlsplit(agent.url)
    with (
        socket.create_connection((where.hostname, where.port), timeout=TIMEOUT_S) as plain,
        strict(agent.ca).wrap_socket(plain, server_hostname=where.hostname) as secured,
    ):
        secured.sendall(request)
        answer = b""
        while piece := secured.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


POST = b"POST /v1/commands/?agent_token=" + TOKEN.encode() + b" HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/x\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % one for one in range(200)) + b"\r\n",
        b"GET /v1/commands/?agent_token=\xff HTTP/1.1\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\n\r\n",
        POST + b"\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 99999999999\r\n\r\n",
        POST + b"Content-Length: 1\r\n\r\n\xff",
        POST + b"Content-Length: 4\r\n\r\nnull",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
        POST + b"Content-Length: 5000\r\n\r\n" + b"9" * 5000,
    ],
)
def test_what_is_no_request(agent: Agent, request_bytes: bytes) -> None:
    """Whatever the bytes are, it is their sender's fault, said in JSON; and the next one is served."""
    head, body = raw(agent, request_bytes)

    if request_bytes.strip():
        assert isinstance(json.loads(body)["faultstring"], str)
        assert 400 <= int(head.split(b" ")[1]) < 500 or head.split(b" ")[1] == b"505"
    assert agent.listed() == []


def test_who_says_nothing_holds_nobody_up(agent: Agent) -> None:
    """Connections that never shake hands do not keep Ironic out."""
    where = urlsplit(agent.url)
    silent = [socket.create_connection((where.hostname, where.port)) for _ in range(8)]
    try:
        assert agent.listed() == []
    finally:
        for each in silent:
            each.close()


def test_plain_http(agent: Agent) -> None:
    """It is spoken to nobody, and ends nothing."""
    where = urlsplit(agent.url)
    with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT_S) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not plain.recv(1000).startswith(b"HTTP")
    assert agent.listed() == []


def test_certificate(agent: Agent) -> None:
    """It passes Python 3.13's checks, speaks TLS 1.3, and is valid whatever the clock says (T4)."""
    where = urlsplit(agent.url)
    with (
        socket.create_connection((where.hostname, where.port)) as plain,
        strict(agent.ca).wrap_socket(plain, server_hostname=where.hostname) as secured,
    ):
        assert secured.version() == "TLSv1.3"
        peer = secured.getpeercert()
    assert peer is not None
    assert (peer["notBefore"], peer["notAfter"]) == ("Jan  1 00:00:00 2000 GMT", "Dec 31 23:59:59 9999 GMT")
    assert peer["subjectAltName"] == (("IP Address", "127.0.0.1"),)


def test_no_log_line_has_the_token(agent: Agent) -> None:
    """Requests are logged without their query."""
    with capture_logs() as lines:
        agent.get("/v1/commands/")
        agent.post("standby.sync")
        raw(agent, b"GET /?agent_token=" + TOKEN.encode() + b" HTTP/9.9\r\n\r\n")

    assert lines
    assert TOKEN not in repr(lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "clean.get_clean_steps", "clean.execute_clean_step", "deploy.execute_deploy_step", "service.get_service_steps",
        "standby.get_partition_uuids", "image.install_bootloader", "log.collect_system_logs", "rescue.finalize_rescue",
    ]
)  # fmt: skip
STEPS = st.fixed_dictionaries(
    {
        "step": st.fixed_dictionaries(
            {
                "interface": st.sampled_from(["deploy", "raid", "\ud800"]) | st.text(max_size=5),
                "step": st.sampled_from(["write_image", "erase_devices", "inject_files", "clean_uefi_nvram"])
                | st.text(max_size=5),
                "args": st.dictionaries(st.sampled_from(["image_info", "configdrive", "x"]), JSON, max_size=3),
            }
        )
        | JSON,
        "node": st.fixed_dictionaries(
            {"uuid": st.text(max_size=5), "properties": st.dictionaries(st.just("root_device"), JSON)}
        )
        | JSON,
    }
)


@given(name=NAMES, params=STEPS | JSON)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_is_a_fault_of_ours(agent: Agent, name: str, params: Any) -> None:
    """However malformed: no 500, a faultstring with every refusal, and the list can be read afterwards."""
    answer = agent.post(name, params)

    if answer["status"] == 200:
        assert list(answer)[:5] == KEYS
        assert "AGENT.BUG" not in json.dumps(agent.ended(answer["id"]) if answer["command_name"] else answer)
    else:
        assert 400 <= answer["status"] < 500
        assert isinstance(answer["faultstring"], str)
    assert isinstance(agent.listed(), list)


def test_the_client_is_strict(agent: Agent) -> None:
    """The oracle of these tests refuses what Python 3.13 would: another certificate for the same address."""
    where = urlsplit(agent.url)
    with (
        socket.create_connection((where.hostname, where.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname=where.hostname),
    ):
        pass
