# SPDX-License-Identifier: Apache-2.0
"""The node's key: made once, kept private; and what a client does with it, down to a clock that is years off."""

from __future__ import annotations

import base64
import json
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from pydantic import SecretStr

from agent.errors import ControllerRefused, HostError
from agent.host.fake import FakeHost
from agent.link.client import Client
from agent.link.key import NodeKey, Signing, node_key
from agent.link.sealed import known_key
from agent.model import signature
from agent.model.protocol import Acknowledged, ReportBatch
from agent.model.signature import fingerprint, signed_text
from tests.link.answers import answering

DIRECTORY = "/run/bms-agent"
BATCH = ReportBatch(stream_id="s", reports=())
OFF = (401, json.dumps({"fault": {"code": "AGENT.CLOCK", "message": "its clock is -99999 s off ours"}}))


def test_a_known_signature() -> None:
    """Of RFC 8032, section 7.1, test 1: the key is used as the standard says."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signed = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )

    assert base64.b64decode(NodeKey(seed).public).hex() == public
    assert base64.b64decode(NodeKey(seed).sign(b"")).hex() == signed


def test_a_key_is_made_once() -> None:
    """The next process has the same; two machines never have; and nobody else may read it."""
    host = FakeHost.with_files({})
    assert known_key(host, DIRECTORY) is None
    first = node_key(host.files, DIRECTORY)

    assert node_key(host.restarted().files, DIRECTORY).public == first.public
    assert node_key(FakeHost.with_files({}).files, DIRECTORY).public != first.public
    kept = known_key(host, DIRECTORY)
    assert kept is not None
    assert (kept.public, kept.fingerprint) == (first.public, fingerprint(first.public))


def test_half_a_key_is_none() -> None:
    """Damage is said, and what to do; no other key is made in its place unasked."""
    host = FakeHost.with_files({f"{DIRECTORY}/node-key": b"half"})
    with pytest.raises(HostError, match="it is no key"):
        node_key(host.files, DIRECTORY)


def headers_of(signing: Signing) -> dict[str, str]:
    """Of a call."""
    return signing.headers("POST", "/v1/agent/reports?a=1&b=%20", b"{}")


def test_what_is_signed_is_what_is_sent() -> None:
    """Method, path as the controller sees it, query, body, session, credential; and each call once."""
    key = NodeKey(bytes(32))
    signing = Signing(key, "secret", "session-1")
    first, second = headers_of(signing), headers_of(signing)
    headers = {name: first[name] for name in signature.HEADERS}

    text = signed_text("POST", "/v1/agent/reports?a=1&b=%20", headers, "secret")
    assert first[signature.SIGNATURE] == key.sign(text)
    assert headers[signature.SESSION] == "session-1"
    assert headers[signature.DIGEST] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}
    assert first[signature.NONCE] != second[signature.NONCE]
    assert "secret" not in str(first) + text.decode()


def test_the_controllers_clock_is_learnt() -> None:
    """From the header Date of its refusal: a machine whose battery is flat is heard all the same."""
    signing = Signing(NodeKey(bytes(32)), "", "")
    assert not signing.learn(None)
    assert not signing.learn("nonsense")
    then = parsedate_to_datetime("Sat, 01 Jan 2000 00:00:00 GMT")

    assert signing.learn(format_datetime(then, usegmt=True))
    assert abs(int(headers_of(signing)[signature.TIME]) - then.timestamp()) < 60


def test_a_refused_clock_is_corrected_once() -> None:
    """The call is made again with the controller's time; if that is refused too, it is an error as any other."""
    key = NodeKey(bytes(32))
    with answering(OFF, (200, "{}")) as server:
        Client(server.url, SecretStr("c"), key, "s").post("/v1/agent/reports", BATCH, Acknowledged)
        assert len(server.asked) == 2
    with answering(OFF) as server, pytest.raises(ControllerRefused, match=r"AGENT\.CLOCK"):
        Client(server.url, SecretStr("c"), key, "s").post("/v1/agent/reports", BATCH, Acknowledged)
    assert len(server.asked) == 2
    with answering(OFF) as server, pytest.raises(ControllerRefused, match=r"AGENT\.CLOCK"):
        Client(server.url, SecretStr("c")).post("/v1/agent/reports", BATCH, Acknowledged)
    assert len(server.asked) == 1
