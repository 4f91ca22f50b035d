# SPDX-License-Identifier: Apache-2.0
"""The ladder to a server, over real sockets on loopback: at which rung it breaks, what is said there, how soon."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

import pytest

from agent.host.ladder import climb, in_time
from agent.host.probe import RealProbe
from agent.model.ladder import Step
from tests.authority import Authority
from tests.host.namespace import in_new_network

ANSWER = b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
LONG_S = 10.0


@contextmanager
def server(answer: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """One that says this to whoever connects, whatever they ask; None says nothing. Its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    stream, _ = listening.accept()
                    with suppress(OSError), closing(spoken(stream, context)) as talk:
                        answered(talk, answer)

        Thread(target=serve, name="server", daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def spoken(stream: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    """By TLS or not. Who hangs up in the middle of a handshake is let go."""
    stream.settimeout(LONG_S)
    try:
        return context.wrap_socket(stream, server_side=True) if context else stream
    except OSError:
        stream.close()
        raise


def answered(talk: socket.socket, answer: bytes | None) -> None:
    """Once the question is complete; or never."""
    while answer is None and talk.recv(4096):
        pass
    while answer is not None and b"\r\n\r\n" not in talk.recv(4096):
        pass
    talk.sendall(answer or b"")


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Whom nobody here trusts unasked."""
    return Authority()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> ssl.SSLContext:
    """A certificate of that one."""
    certificate, key = authority.issue(tmp_path_factory.mktemp("tls"), "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_all_the_way() -> None:
    """Every rung with its time, and the server's clock beside ours."""
    with server(ANSWER) as port:
        found = RealProbe().climb(f"http://localhost:{port}/v1", LONG_S)

    assert [rung.step for rung in found.rungs] == [Step.DNS, Step.ROUTE, Step.TCP, Step.HTTP]
    assert found.broken is None and all(rung.took_ms >= 0 for rung in found.rungs)
    assert found.server_time is not None and found.server_time.isoformat() == "2026-11-22T12:00:00+00:00"
    assert found.our_time is not None and "127.0.0.1" in str(found)


def test_a_certificate_that_is_not_trusted(tls: ssl.SSLContext, authority: Authority) -> None:
    """It breaks at TLS, and says why; where any certificate is good, or its authority is named, it goes on: and another
    authority is not enough.
    """
    with server(ANSWER, tls) as port:
        refused = climb(f"https://localhost:{port}", LONG_S)
        taken = climb(f"https://localhost:{port}", LONG_S, insecure=True)
        trusted = RealProbe().climb(f"https://localhost:{port}", LONG_S, ca_pem=authority.pem)
        another = climb(f"https://localhost:{port}", LONG_S, ca_pem=Authority().pem)

    assert trusted.broken is None and "not verified" not in str(trusted)
    assert another.broken is not None and another.broken.step is Step.TLS

    assert refused.broken is not None and refused.broken.step is Step.TLS
    assert "the server's certificate is refused: " in (refused.broken.fault or "")
    assert taken.broken is None and [rung.step for rung in taken.rungs] == list(Step)


@pytest.mark.parametrize(
    ("url", "step", "fault"),
    [
        ("http://:1", Step.DNS, "there is no name"),
        ("http://a..b", Step.DNS, "that can be no name"),
        ("http://127.0.0.1:1", Step.TCP, "Connection refused"),
        ("http://127.0.0.1:99999", Step.DNS, "no HTTP is spoken there"),
    ],
)
def test_where_it_breaks(url: str, step: Step, fault: str) -> None:
    """The rung that bears nothing is the last one."""
    found = climb(url, 3.0)

    assert found.broken is not None and found.broken.step is step and found.rungs[-1] is found.broken
    assert fault in (found.broken.fault or "")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "no HTTP is spoken there"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "it answers 503"),
        (b"", "closed connection"),
    ],
)
def test_what_is_no_controller(answer: bytes, fault: str) -> None:
    """Another service on that port, one that is broken, one that hangs up."""
    with server(answer) as port:
        found = climb(f"http://127.0.0.1:{port}", LONG_S)

    assert found.broken is not None and found.broken.step is Step.HTTP and fault in (found.broken.fault or "")


def test_no_tls_there() -> None:
    """https to a port of http."""
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, closing(socket.create_connection(("127.0.0.1", port))):
        found = climb(f"https://127.0.0.1:{port}", 1.0)

    assert found.broken is not None and found.broken.step is Step.TLS


def test_silence_has_an_end() -> None:
    """Who takes a connection and says nothing does not keep us longer than the limit."""
    began_s = time.monotonic()
    with server(None) as port:
        found = climb(f"http://127.0.0.1:{port}", 0.5)

    assert found.broken is not None and (found.broken.step, found.broken.fault) == (Step.HTTP, "no answer in time")
    assert time.monotonic() - began_s < LONG_S / 2


def test_dripping_has_an_end() -> None:
    """Nor does who gives a byte now and then: the screen would stand still."""
    over = Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def drip() -> None:
            stream, _ = listening.accept()
            with suppress(OSError), closing(stream):
                while not over.wait(0.02):
                    stream.sendall(b"H")

        Thread(target=drip, name="drip", daemon=True).start()
        began_s = time.monotonic()
        found = climb(f"http://127.0.0.1:{listening.getsockname()[1]}", 0.5)
        took_s = time.monotonic() - began_s
        over.set()

    assert found.broken is not None and (found.broken.step, found.broken.fault) == (Step.HTTP, "no answer in time")
    assert took_s < LONG_S / 2


@pytest.mark.root
def test_no_route() -> None:
    """In a network without any."""
    found = in_new_network(lambda: climb("http://192.0.2.9", 1.0))

    assert found.broken is not None
    assert (found.broken.step, found.broken.fault) == (Step.ROUTE, "no route leads there")


def test_a_resolver_that_hangs_is_left_alone() -> None:
    """It knows no timeout of ours."""
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        in_time(lambda: time.sleep(2.0), 0.1)

    assert time.monotonic() - began_s < 1.5


def test_a_url_without_secrets() -> None:
    """What a URL holds of credentials is in no finding."""
    found = climb("http://user:hunter2@127.0.0.1:1/?token=hunter2", 1.0)

    assert "hunter2" not in found.model_dump_json()
