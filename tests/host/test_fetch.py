# SPDX-License-Identifier: Apache-2.0
"""The door to images, against a server that misbehaves."""

from __future__ import annotations

import io
import random
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from agent.errors import AccessDenied, AgentError, DeviceError, ImageTruncated, ImageUnavailable, LinkError
from agent.host.connections import Paced
from agent.host.fetch import RealFetch
from agent.model.image import Access
from tests import hostile
from tests.bodies import whole
from tests.hostile import Server, serving

IMAGE = random.Random(3).randbytes(300_000)
SIZE = len(IMAGE)


@pytest.fixture
def server() -> Iterator[Server]:
    """With an image."""
    with serving(IMAGE) as running:
        yield running


def fetched(url: str, offset: int = 0, length: int | None = None, *, fetch: RealFetch | None = None) -> bytes:
    """What comes."""
    with (fetch or RealFetch())(url, offset_bytes=offset, length_bytes=length) as body:
        return whole(body)


def test_whole_file(server: Server) -> None:
    """The file comes as it is, with its length and its validator, and nothing asks for another coding."""
    with RealFetch()(server.url) as body:
        assert (body.offset_bytes, body.length_bytes, body.total_bytes) == (0, SIZE, SIZE)
        assert body.validator == '"first"' and whole(body) == IMAGE and body.done_bytes == SIZE
    assert server.asked == [None] and server.told[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("offset", "length", "asked"),
    [(1000, None, "bytes=1000-"), (0, 10, "bytes=0-9"), (7, 100_000, "bytes=7-100006"), (SIZE - 5, 50, None)],
)
def test_ranges(server: Server, offset: int, length: int | None, asked: str | None) -> None:
    """A range comes, up to the file's end at most; the body says where it begins, and how long body and file are."""
    expected = IMAGE[offset:][:length]
    with RealFetch()(server.url, offset_bytes=offset, length_bytes=length) as body:
        assert (body.offset_bytes, body.length_bytes, body.total_bytes) == (offset, len(expected), SIZE)
        assert whole(body, 4096) == expected
    assert asked is None or server.asked == [asked]


def test_the_view_is_filled(server: Server) -> None:
    """A fill gives the whole view, in whatever pieces the network brings it, and 0 after the end."""
    view = memoryview(bytearray(200_000))
    with RealFetch()(server.url) as body:
        assert body.fill(view) == 200_000 and view == IMAGE[:200_000]
        assert body.fill(view) == 100_000 and view[:100_000] == IMAGE[200_000:]
        assert body.fill(view) == 0


def test_connections_are_kept(server: Server) -> None:
    """Requests of one thread share a connection, if each body was read to its end; another thread has its own."""
    fetch = RealFetch()
    for offset in (0, 100, 200):
        assert fetched(server.url, offset, 100, fetch=fetch) == IMAGE[offset : offset + 100]
    assert server.connections == 1
    thread = Thread(target=lambda: fetched(server.url, 0, 10, fetch=fetch), name="another")
    thread.start()
    thread.join(10)
    assert server.connections == 2
    with fetch(server.url) as body:
        body.fill(memoryview(bytearray(10)))
    assert fetched(server.url, 5, 10, fetch=fetch) == IMAGE[5:15] and server.connections == 3


def test_connection_that_was_closed_meanwhile(server: Server) -> None:
    """A kept connection that the server has closed since is not used again."""
    fetch = RealFetch()
    server.script = [hostile.cut_after(SIZE)] * 3
    for _ in range(4):
        assert fetched(server.url, fetch=fetch) == IMAGE
    assert server.connections == 4


def test_changed_file(server: Server) -> None:
    """A strong validator goes with the range: a file that changed comes from its beginning. A weak one is not sent."""
    for validator, sent, offset in (('"first"', '"first"', 9), ('"other"', '"other"', 0), ('W/"first"', None, 9)):
        with RealFetch()(server.url, offset_bytes=9, validator=validator) as body:
            assert body.offset_bytes == offset
        assert server.told[-1].get("If-Range") == sent


def test_server_without_ranges(server: Server) -> None:
    """A server that ignores the range is not believed to have obeyed: the body says that it begins at 0."""
    server.script = [hostile.without_ranges]
    with RealFetch()(server.url, offset_bytes=1000, length_bytes=10) as body:
        assert body.offset_bytes == 0 and whole(body) == IMAGE


@pytest.mark.parametrize("answer", [hostile.without_length, hostile.chunked])
def test_server_without_length(server: Server, answer: hostile.Answer) -> None:
    """Where no length is told, none is claimed."""
    server.script = [answer]
    with RealFetch()(server.url) as body:
        assert body.length_bytes is None and body.total_bytes is None and whole(body) == IMAGE


@pytest.mark.parametrize("count", [0, 1, 65536, SIZE - 1])
def test_body_that_is_cut(server: Server, count: int) -> None:
    """A body that ends before its length is truncated, however politely the connection was closed."""
    server.script = [hostile.cut_after(count)]
    with pytest.raises(ImageTruncated, match=rf"{count} of {SIZE} bytes") as caught:
        fetched(server.url)
    assert caught.value.retryable


def test_chunks_that_are_cut(server: Server) -> None:
    """So is a chunked body without its last chunk."""
    server.script = [hostile.chunks_cut_after(1000)]
    with pytest.raises((ImageTruncated, LinkError), match="1000 bytes"):
        fetched(server.url)


@pytest.mark.parametrize("answer", [hostile.cut_after(100_001), hostile.reset_after(100_001)])
def test_what_came_before_a_cut_is_given(server: Server, answer: hostile.Answer) -> None:
    """What came before the end is in the view, and counted to the byte: the reader goes on behind it."""
    server.script = [answer]
    view = memoryview(bytearray(SIZE))
    with pytest.raises((ImageTruncated, LinkError)) as caught, RealFetch()(server.url) as body:
        body.fill(view)

    assert view[: body.done_bytes] == IMAGE[: body.done_bytes]
    assert body.done_bytes == 100_001 or isinstance(caught.value, LinkError)  # a reset throws away what was not read


@pytest.mark.parametrize("number", [500, 503, 408, 425, 429])
def test_what_may_pass(server: Server, number: int) -> None:
    """A server that is overloaded may be asked again; then it comes through."""
    server.script = [hostile.status(number)]
    with pytest.raises(LinkError, match=str(number)) as caught:
        fetched(server.url)

    assert caught.value.retryable and fetched(server.url) == IMAGE


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ("bytes 1001-1100/300000", 100),
        ("bytes 1000-1098/300000", 99),
        ("bytes 1000-1100/300000", 101),
        ("bytes 1000-1099/300000", 50),
        ("bytes 1000-1099/1050", 100),
        ("bytes 1000-999/300000", 0),
        ("bytes 1000-1098/*", 99),
        ("bytes 1000-1099", 100),
        ("", 100),
        ("chapters 1000-1099/300000", 100),
    ],
)
def test_another_range(server: Server, said: str, length: int) -> None:
    """Bytes that are not exactly those that were asked for are not taken; the server may be asked again."""
    server.script = [hostile.part(said, length)]
    with pytest.raises(LinkError):
        fetched(server.url, 1000, 100)


def test_range_of_a_file_without_a_known_end(server: Server) -> None:
    """A server need not know how long the file is."""
    server.script = [hostile.part("bytes 0-99/*", 100)]
    with RealFetch()(server.url, length_bytes=100) as body:
        assert body.total_bytes is None and whole(body) == IMAGE[:100]


def test_server_that_falls_silent(server: Server) -> None:
    """A stall is a break, after a while."""
    server.script = [hostile.stall_after(1000)]
    with pytest.raises(LinkError, match="in time"):
        fetched(server.url, fetch=RealFetch(read_timeout_s=0.2))


@contextmanager
def giving(piece: bytes, pause_s: float) -> Iterator[socket.socket]:
    """The near end of a connection over which this comes again and again."""
    near, far = socket.socketpair()

    def give() -> None:
        with far, suppress(OSError):
            while True:
                far.sendall(piece)
                time.sleep(pause_s)

    giver = Thread(target=give)
    giver.start()
    try:
        with near:
            near.settimeout(5.0)
            yield near
    finally:
        giver.join()


def test_server_that_drips() -> None:
    """So is a server that gives a byte now and then, for ever; one that is slow for a while is not."""
    with (
        giving(b"x", 0.005) as sock,
        closing(Paced(sock, slow_after_s=0.02)) as drops,
        pytest.raises(TimeoutError, match=r"only [0-9]+ bytes"),
    ):
        for _ in range(100):
            drops.readinto(bytearray(10))
    with giving(bytes(10**5), 0.0) as sock, io.BufferedReader(Paced(sock, slow_after_s=0.0)) as river:
        for _ in range(10):
            assert river.readinto(bytearray(10**5)) == 10**5


def test_nobody_there() -> None:
    """A refused connection is retryable, and its cause is told, once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(LinkError) as caught:
        fetched(f"http://127.0.0.1:{port}/")

    assert "refused" in str(caught.value) and caught.value.causes() == ""


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        (hostile.status(404), "404"),
        (hostile.status(407), "407"),
        (hostile.status(304), "304"),
        (hostile.status(204), "204"),
        (hostile.encoded, "gzip"),
    ],
)
def test_what_will_not_pass(server: Server, answer: hostile.Answer, evidence: str) -> None:
    """A file that is not there, or bytes that are not those asked for: no retry can help, and the reason is told."""
    server.script = [answer]
    with pytest.raises(ImageUnavailable, match=evidence) as caught:
        fetched(server.url, 1000)

    assert not caught.value.retryable


def test_range_behind_the_end(server: Server) -> None:
    """A range that begins behind the file's end tells where that is, if the server does."""
    with pytest.raises(ImageTruncated, match=f"only {SIZE} bytes"):
        fetched(server.url, SIZE)
    server.script = [hostile.status(416)]
    with pytest.raises(LinkError, match="416"):
        fetched(server.url, 1000)


@pytest.mark.parametrize("number", [401, 403])
def test_closed_doors(server: Server, number: int) -> None:
    """A server that wants credentials says which; its challenge is kept."""
    server.script = [hostile.status(number, WWW_Authenticate='Basic realm="x"')]
    with pytest.raises(AccessDenied, match=str(number)) as caught:
        fetched(server.url)

    assert caught.value.challenge == 'Basic realm="x"' and not caught.value.retryable


def test_errors_are_ours(server: Server) -> None:
    """Whatever a server says first, no foreign exception leaves the door."""
    for noise in (b"", b"\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"):
        server.script = [lambda handler, said=noise: handler.wfile.write(said) and None]  # type: ignore[misc]
        try:
            fetched(server.url)
        except AgentError:
            continue


def test_sending(server: Server) -> None:
    """What is sent arrives, in order, with the credentials."""
    fetch = RealFetch()
    access = Access(bearer=SecretStr("t"))
    fetch.send(server.url, (memoryview(IMAGE)[at : at + 70_000] for at in range(0, SIZE, 70_000)), access=access)

    assert server.taken == IMAGE and server.told[0]["Authorization"] == "Bearer t"
    fetch.send(server.url, [])
    assert server.taken == b""


@pytest.mark.parametrize(
    ("number", "error"), [(403, AccessDenied), (503, LinkError), (405, ImageUnavailable), (307, ImageUnavailable)]
)
def test_sending_that_is_refused(server: Server, number: int, error: type[AgentError]) -> None:
    """A refusal is an error as it is for a GET; nobody is followed with what is gone."""
    server.script = [hostile.status(number, Location="/there")]
    with pytest.raises(error, match=f"sending .*{number}"):
        RealFetch().send(server.url, [b"x"])


def test_sending_what_fails(server: Server) -> None:
    """What the pieces raise is raised, and the server does not take a half for the whole."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise DeviceError("reading /dev/sda", "EIO")

    with pytest.raises(DeviceError):
        RealFetch().send(server.url, broken())
    assert server.taken == b""


def test_several_threads(server: Server) -> None:
    """One door serves many threads, each with its own connection."""
    fetch, wrong, ready = RealFetch(), [], Event()

    def work(first: int) -> None:
        ready.wait(10)
        for offset in range(first, SIZE, 40_000):
            if fetched(server.url, offset, 10_000, fetch=fetch) != IMAGE[offset : offset + 10_000]:
                wrong.append(offset)

    threads = [Thread(target=work, args=(first,), name=f"reader-{first}") for first in range(0, 40_000, 10_000)]
    for thread in threads:
        thread.start()
    ready.set()
    for thread in threads:
        thread.join(20)
    assert not wrong and server.connections == 4
