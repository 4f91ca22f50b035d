# SPDX-License-Identifier: Apache-2.0
"""Calls to the controller, and patience."""

from __future__ import annotations

from itertools import pairwise
from threading import Event

import pytest
from pydantic import SecretStr

from agent.errors import AgentError, ControllerRefused, DecodeError, LinkError
from agent.host.fake import FakeHost
from agent.link.client import Client, patiently
from agent.model.protocol import ReportBatch, ReportsAnswer
from tests.link.answers import answering

BATCH = ReportBatch(stream_id="s", reports=())
REFUSED = '{"fault": {"code": "AGENT.WRONG_NONCE", "message": "not this nonce", "hint": "look"}}'


def call(url: str) -> ReportsAnswer:
    """One call."""
    return Client(url, SecretStr("credential")).post("/v1/agent/reports", BATCH, ReportsAnswer)


def test_answer_and_credential() -> None:
    """A call carries the credential; what a newer controller adds to an acknowledgement is ignored."""
    with answering((200, '{"acknowledged": 7, "new": 1}')) as server:
        assert call(server.url).acknowledged == 7
    assert server.asked[0][:2] == ("/v1/agent/reports", "Bearer credential")


@pytest.mark.parametrize(
    ("status", "body", "error", "evidence"),
    [
        (500, "oops", LinkError, "answered 500"),
        (503, REFUSED, LinkError, "answered 503"),
        (409, REFUSED, ControllerRefused, "AGENT.WRONG_NONCE: not this nonce"),
        (404, "<html>", ControllerRefused, "HTTP.404"),
        (307, "", ControllerRefused, "HTTP.307"),
        (200, "<html>", DecodeError, "Invalid JSON"),
        (200, "{}", DecodeError, "acknowledged"),
    ],
)
def test_bad_answers(status: int, body: str, error: type[AgentError], evidence: str) -> None:
    """Every bad answer is an error of ours; a redirect is not followed, since it would take the credential along."""
    with answering((status, body)) as server, pytest.raises(error, match=evidence) as caught:
        call(server.url)
    assert type(caught.value) is error and caught.value.retryable is (error is LinkError)


def test_nobody_there() -> None:
    """A controller that is away is a `LinkError`, which names the address."""
    with answering((200, "{}")) as server:
        url = server.url
    with pytest.raises(LinkError, match=url):
        call(url)


def test_patience_outlasts_an_hour() -> None:
    """An hour of failures, refusals and nonsense is outlasted, in pauses that never exceed a minute or so."""
    host = FakeHost.with_files({})
    began = host.clock.monotonic_s()
    pauses: list[float] = []
    failures: list[AgentError] = [LinkError("calling"), ControllerRefused("calling"), DecodeError("reading")]

    def attempt() -> str:
        pauses.append(host.clock.monotonic_s() - began)
        if pauses[-1] < 3600:
            raise failures[len(pauses) % 3]
        return "back"

    assert patiently(attempt, host.clock, Event(), "waiting") == "back"
    assert max(later - earlier for earlier, later in pairwise(pauses)) <= 61


def test_patience_ends_when_stopped() -> None:
    """A stop ends the waiting, with the last error."""
    stop = Event()

    def attempt() -> None:
        stop.set()
        raise LinkError("calling")

    with pytest.raises(LinkError):
        patiently(attempt, FakeHost.with_files({}).clock, stop, "waiting")
