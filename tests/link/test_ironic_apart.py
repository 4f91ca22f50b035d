# SPDX-License-Identifier: Apache-2.0
"""The split under Ironic: root says and judges its calls to Ironic, another process makes them. What each believes of
the other, and what happens when either goes away, or goes mad. (What a call is, `test_ironic` tries by both ways.)
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest
from pydantic import SecretStr, ValidationError

from agent.errors import AgentError, ConfigError, DecodeError, LinkError
from agent.host.line import Line, dialled
from agent.life.lives import KILLED, Lives
from agent.life.sd_notify import Notifier
from agent.link import body
from agent.link.ironic.client import Ironic, reason
from agent.link.ironic.relay import Relay
from agent.link.process import serve
from agent.link.relay import Beside, woken
from agent.model.ironic.call import CALLS, LARGEST_ANSWER_BYTES, Call, Manner, Opening, Page, Whom
from tests.link.answers import answering
from tests.link.beside import Started, beside, listener, user_of
from tests.link.test_ironic import BEAT, LOOKUP, UUID
from tests.link.test_relay import ANSWER, MAD, mad, piece
from tests.nobody import NOBODY

FOUND = (200, json.dumps(LOOKUP))
KEYLESS = "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"


def opening(*urls: str) -> Opening:
    """For calls to these."""
    return Opening(urls=urls, callbacks=tuple(f"{url}/v1/continue_inspection" for url in urls), version="1.72")


def test_one_line_for_one_call_after_the_other(tmp_path: Path) -> None:
    """What is said and what is answered are the same as without the other process; nothing else is asked."""
    with beside(tmp_path) as path, answering(FOUND, (202, ""), (202, json.dumps({"uuid": UUID}))) as server:
        ironic = Ironic([server.url], callbacks=[f"{server.url}/v1/continue_inspection"], socket=path)
        assert ironic.lookup([], None).node.uuid == UUID
        ironic.heartbeat(UUID, BEAT)
        assert ironic.inspected(b'{"inventory": {}}') == UUID

    assert [asked[0].partition("?")[0] for asked in server.asked] == [
        "/v1/lookup",
        f"/v1/heartbeat/{UUID}",
        "/v1/continue_inspection",
    ]
    assert server.asked[2][2] == b'{"inventory": {}}'


def test_what_crosses() -> None:
    """A call has no URL, path or header in it: where it goes was said when the line was opened. Nothing of the machine
    is there but what Ironic is told, and how it is spoken to."""
    assert set(Call.model_fields) == {"page", "macs", "node_uuid"}
    assert set(Opening.model_fields) == {"urls", "callbacks", "version", "manner"}
    assert set(CALLS) == set(Page) == {Page.LOOKUP, Page.HEARTBEAT, Page.INSPECTION}
    manner = Manner(client_pem=SecretStr("KEY"))
    assert "KEY" not in repr(opening().model_copy(update={"manner": manner}))


@pytest.mark.parametrize("told", ["../../v1/nodes", "x?y", "x/../y", "", "x" * 65, "é"])
def test_a_node_is_a_name(told: str) -> None:
    """What stands in a path leads nowhere else, whoever says it."""
    with pytest.raises(ValidationError):
        Call(page=Page.HEARTBEAT, node_uuid=told)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b'{"page": "nodes"}', 0),
        (b'{"page": "heartbeat"}', 2),
        (b'{"page": "lookup"}', 2),
        (b'{"page": "heartbeat", "node_uuid": "n"}', CALLS[Page.HEARTBEAT].most_bytes + 1),
        (b'{"page": "heartbeat", "node_uuid": "../nodes"}', 2),
        (b'{"page": "lookup", "url": "http://elsewhere"}', 0),
        (b'{"method": "GET", "target": "/v1/agent/desired"}', 0),
        (b"\xff", 0),
    ],
)
def test_nothing_else_is_called(tmp_path: Path, head: bytes, size: int) -> None:
    """What is no row of the table does not leave the machine, whoever asks: who asks it is hung up on."""
    with beside(tmp_path) as path, answering(FOUND) as server:
        with dialled(path, "calling") as line:
            line.send(Whom(whom="ironic").model_dump_json().encode(), opening(server.url).model_dump_json().encode(), 5)
            line.send(head, bytes(size), 5)
            assert line.receive(20) is None
        assert server.asked == []


@pytest.mark.parametrize(
    ("head", "body"),
    [(b'{"whom": "nova"}', b"{}"), (b"{}", b"{}"), (b'{"whom": "ironic"}', b""), (b'{"whom": "ironic"}', b"{}")],
)
def test_a_beginning_that_is_none(tmp_path: Path, head: bytes, body: bytes) -> None:
    """It is hung up on, and the next is served."""
    with beside(tmp_path) as path, answering(FOUND) as server:
        with dialled(path, "calling") as line:
            line.send(head, body, 5)
            assert line.receive(20) is None
        assert Ironic([server.url], socket=path).lookup([], None).node.uuid == UUID


@pytest.mark.parametrize("said", MAD)
def test_a_process_that_went_mad(tmp_path: Path, said: bytes) -> None:
    """Nothing that it says is more to root than a call that failed."""
    with mad(tmp_path / "socket", said), pytest.raises(LinkError, match=MAD[said]) as caught:
        Ironic(["http://ironic"], socket=str(tmp_path / "socket")).lookup([], None)
    assert type(caught.value) is LinkError


@pytest.mark.parametrize(
    "said",
    [
        b"{}",
        b"\xff",
        b'{"node": {"uuid": "../.."}}',
        b'{"node": {"uuid": "n"}, "config": {"heartbeat_timeout": -1}}',
        b'{"node": {"uuid": "n", "properties": ' + b"[" * 100_000,
    ],
)
def test_a_process_that_makes_answers_up(tmp_path: Path, said: bytes) -> None:
    """They are judged by root's own models, however deep they are."""
    with mad(tmp_path / "socket", piece(ANSWER, said)), pytest.raises(DecodeError):
        Ironic(["http://ironic"], socket=str(tmp_path / "socket")).lookup([], None)


@pytest.mark.parametrize("by", [1, 99])
def test_an_answer_from_nowhere(tmp_path: Path, by: int) -> None:
    """Which of the URLs answered is for words alone, and whoever says it cannot make root fail by it."""
    said = piece(json.dumps({"answer": {"status": 404, "by": by}}).encode(), b"no")
    with mad(tmp_path / "socket", said), pytest.raises(LinkError, match="404: no"):
        Ironic(["http://ironic"], socket=str(tmp_path / "socket")).lookup([], None)


def test_an_answer_has_a_bound(tmp_path: Path, way: str | None) -> None:
    """Whether the server is mad, or the process that has heard it: root never has more of it."""
    large = (200, json.dumps({**LOOKUP, "more": "x" * LARGEST_ANSWER_BYTES}))
    with answering(large, FOUND) as server:
        ironic = Ironic([server.url], socket=way)
        with pytest.raises(LinkError, match=f"more than {LARGEST_ANSWER_BYTES} bytes"):
            ironic.lookup([], None)
        assert ironic.lookup([], None).node.uuid == UUID
    assert LARGEST_ANSWER_BYTES < body.LARGEST_BYTES
    said = piece(ANSWER, bytes(LARGEST_ANSWER_BYTES + 1))
    (tmp_path / "mad").mkdir()
    with mad(tmp_path / "mad" / "socket", said), pytest.raises(LinkError, match="makes no sense: an answer of"):
        Ironic(["http://ironic"], socket=str(tmp_path / "mad" / "socket")).lookup([], None)


@contextmanager
def in_pieces(text: str) -> Iterator[str]:
    """A server that answers without a length, in chunks (RFC 9112, section 7.1), as WSGI servers do; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                stream, _ = listening.accept()
                with stream:
                    stream.recv(65536)
                    stream.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for at in range(0, len(text), 50):
                        part = text[at : at + 50].encode()
                        stream.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                    stream.sendall(b"0\r\n\r\n")

        thread = Thread(target=serve, name="in pieces")
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(20)


def test_an_answer_in_chunks(way: str | None) -> None:
    """It is put together."""
    with in_pieces(json.dumps(LOOKUP)) as url:
        assert Ironic([url], socket=way).lookup([], None).node.uuid == UUID


def test_errors_on_the_other_side(tmp_path: Path) -> None:
    """A setting that makes no sense is said as what it is, certificates that are none too, and the line goes on."""
    with beside(tmp_path) as path:
        with pytest.raises(ConfigError, match="ipa-tls-cipher-suites"):
            Ironic(["https://127.0.0.1:9"], Manner(tls_ciphers="NOBODYS"), socket=path).lookup([], None)
        for manner in (Manner(ca_pem="nothing"), Manner(client_pem=SecretStr(KEYLESS))):
            with pytest.raises(LinkError, match="ipa-cafile or ipa-certfile"):
                Ironic(["https://127.0.0.1:9"], manner, socket=path).lookup([], None)
        with pytest.raises(LinkError, match="no URL of Ironic's is known"):
            Ironic([], socket=path).lookup([], None)


@pytest.mark.commands
def test_the_other_process_is_nobody(tmp_path: Path) -> None:
    """The command that systemd starts: root is served by a process without root, and outlives its death: the call under
    way fails, the next waits in the socket until the process is there again."""
    process = Started(tmp_path)
    try:
        running = process.start()
        with answering((202, "")) as server:
            ironic = Ironic([server.url], socket=str(process.path))
            ironic.heartbeat(UUID, BEAT)
            assert user_of(running) == (os.geteuid() or NOBODY)
            process.kill()
            with pytest.raises(LinkError):
                ironic.heartbeat(UUID, BEAT)
            waiting = Thread(target=ironic.heartbeat, args=(UUID, BEAT))
            waiting.start()
            process.start()
            waiting.join(60)
            assert len(server.asked) == 2 and not waiting.is_alive()
        assert BEAT.agent_token.get_secret_value() not in process.log
    finally:
        process.close()


def test_root_hears_how_that_process_ended(tmp_path: Path) -> None:
    """With each answer."""
    learns = Beside()
    lives = Lives(ended=4, last=KILLED, began_s=monotonic())
    with beside(tmp_path, before=lives) as path, answering(FOUND) as server:
        Ironic([server.url], socket=path, beside=learns).lookup([], None)
    assert learns.fault is not None and learns.fault.code == "LINK.CRASHED"


def test_how_long_root_waits(tmp_path: Path) -> None:
    """For each URL as long as the operator said, and no longer: who takes a call and says nothing holds nobody."""
    manner = Manner(connect_timeout_s=7, answer_timeout_s=11)
    told = opening("http://a", "http://b").model_copy(update={"manner": manner})
    heartbeat, inspection = Call(page=Page.HEARTBEAT, node_uuid="n"), Call(page=Page.INSPECTION)
    assert (told.longest_s(heartbeat), told.longest_s(inspection)) == (2 * 18, 2 * 127)

    def speak() -> None:
        with suppress(AgentError), Line(listening.accept()[0], "listening") as line:
            while line.receive(20, waits=True) is not None:
                pass

    with listener(tmp_path / "socket") as listening:
        thread = Thread(target=speak, name="silent")
        thread.start()
        quick = told.model_copy(update={"urls": ()})
        with pytest.raises(LinkError, match="nothing whole came"):
            Relay(str(tmp_path / "socket"), quick, more_s=0.2).exchange(heartbeat, b"{}")
        thread.join(20)


def test_what_nobody_waits_for_is_not_asked(tmp_path: Path) -> None:
    """A lookup that waits in the socket until root has given it up is not made when the process comes: the token would
    be given to nobody, and Ironic gives it once. Root's next lookup gets it."""
    impatient = Manner(connect_timeout_s=0.1, answer_timeout_s=0.1)
    with listener(tmp_path / "socket") as listening, answering(FOUND) as server:
        told, stop = opening(server.url).model_copy(update={"manner": impatient}), Event()
        for _ in range(2):
            with pytest.raises(LinkError, match="nothing whole came"):
                Relay(str(tmp_path / "socket"), told, more_s=0.1).exchange(Call(page=Page.LOOKUP), b"")
        woken(str(tmp_path / "socket"))
        thread = Thread(target=serve, args=(listening, Notifier({}), stop), name="late")
        thread.start()
        assert Ironic([server.url], socket=str(tmp_path / "socket")).lookup([], None).node.uuid == UUID
        stop.set()
        thread.join(20)

        assert len(server.asked) == 1


@pytest.mark.commands
def test_root_reads_no_http() -> None:
    """Beside the other process, root has not even what would read it."""
    code = (
        "import sys, agent.ironic\n"
        "from agent.link.ironic.client import Ironic\n"
        "Ironic(['http://ironic'], socket='/run/x')\n"
        "print(sorted({'requests', 'urllib3'} & set(sys.modules)))\n"
        "Ironic(['http://ironic'])\n"
        "print(sorted({'requests', 'urllib3'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.splitlines() == ["[]", "['requests', 'urllib3']"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"error_message": "{\\"faultstring\\": \\"locked\\"}"}', "locked"),
        (b'{"error_message": {"faultstring": "locked"}}', "locked"),
        (b'{"error_message": "plain"}', '{"error_message": "plain"}'),
        (b'{"error_message": ' + b"[" * 100_000, '{"error_message": [['),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "no reason given"),
    ],
)
def test_a_reason(content: bytes, told: str) -> None:
    """Ironic's words, or else what stands there: no more of it than a line can bear, and whatever it is, it is text."""
    assert reason(content).startswith(told) and len(reason(content)) <= 500
