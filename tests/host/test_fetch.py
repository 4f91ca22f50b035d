# SPDX-License-Identifier: Apache-2.0
"""The door to images, against a server that misbehaves."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from agent.errors import AgentError, ImageTruncated, ImageUnavailable, LinkError
from agent.host.fetch import RealFetch, must_be_allowed
from tests import hostile
from tests.hostile import Server, serving

IMAGE = random.Random(3).randbytes(300_000)


@pytest.fixture
def server() -> Iterator[Server]:
    """With an image."""
    with serving(IMAGE) as running:
        yield running


def fetched(url: str, offset: int = 0, fetch: RealFetch | None = None) -> bytes:
    """What comes."""
    with (fetch or RealFetch())(url, offset_bytes=offset) as body:
        return b"".join(body.chunks(65536))


def test_whole_file(server: Server) -> None:
    """The file comes as it is, with its length and its validator, and nothing asks for another coding."""
    with RealFetch()(server.url) as body:
        assert (body.offset_bytes, body.length_bytes, body.validator) == (0, len(IMAGE), '"first"')
        assert b"".join(body.chunks(65536)) == IMAGE


def test_from_an_offset(server: Server) -> None:
    """From an offset on, the rest comes, and the body says where it begins and how long it is."""
    with RealFetch()(server.url, offset_bytes=1000) as body:
        assert (body.offset_bytes, body.length_bytes) == (1000, len(IMAGE) - 1000)
        assert b"".join(body.chunks(65536)) == IMAGE[1000:]
    assert server.asked == ["bytes=1000-"]


def test_server_without_ranges(server: Server) -> None:
    """A server that ignores the range is not believed to have obeyed: the body says that it begins at 0."""
    server.script = [hostile.without_ranges]
    with RealFetch()(server.url, offset_bytes=1000) as body:
        assert body.offset_bytes == 0 and b"".join(body.chunks(65536)) == IMAGE


def test_server_without_length(server: Server) -> None:
    """Where no length is told, none is claimed."""
    server.script = [hostile.without_length]
    with RealFetch()(server.url) as body:
        assert body.length_bytes is None and b"".join(body.chunks(65536)) == IMAGE


@pytest.mark.parametrize("count", [0, 1, 65536, len(IMAGE) - 1])
def test_body_that_is_cut(server: Server, count: int) -> None:
    """A body that ends before its length is truncated, however politely the connection was closed."""
    server.script = [hostile.cut_after(count)]
    with pytest.raises(ImageTruncated, match=rf"of {len(IMAGE)} bytes"):
        fetched(server.url)


def test_chunks_that_are_cut(server: Server) -> None:
    """So is a chunked body without its last chunk."""
    server.script = [hostile.chunks_cut_after(1000)]
    with pytest.raises((ImageTruncated, LinkError)):
        fetched(server.url)


def test_what_came_before_a_cut_is_given(server: Server) -> None:
    """Whole pieces before the end are not lost: the reader goes on behind them."""
    server.script = [hostile.cut_after(100_000)]
    came = b""
    with pytest.raises(ImageTruncated), RealFetch()(server.url) as body:
        for chunk in body.chunks(10_000):
            came += chunk

    assert came == IMAGE[: len(came)] and len(came) >= 90_000


@pytest.mark.parametrize("answer", [hostile.reset_after(70_000), hostile.status(503), hostile.status(429)])
def test_what_may_pass(server: Server, answer: hostile.Answer) -> None:
    """A reset and a server that is overloaded are retryable; the next attempt comes through."""
    server.script = [answer]
    with pytest.raises(LinkError) as caught:
        fetched(server.url)

    assert caught.value.retryable and fetched(server.url) == IMAGE


def test_server_that_falls_silent(server: Server) -> None:
    """A stall is a break, after a while."""
    server.script = [hostile.stall_after(1000)]
    with pytest.raises(LinkError):
        fetched(server.url, fetch=RealFetch(read_timeout_s=0.2))


def test_nobody_there() -> None:
    """A refused connection is retryable, and its cause is told."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(LinkError) as caught:
        fetched(f"http://127.0.0.1:{port}/")

    assert "refused" in caught.value.causes()


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        (hostile.status(404), "404"),
        (hostile.status(403), "403"),
        (hostile.status(416), "416"),
        (hostile.status(304), "304"),
        (hostile.encoded, "gzip"),
        (hostile.another_range, "206"),
    ],
)
def test_what_will_not_pass(server: Server, answer: hostile.Answer, evidence: str) -> None:
    """A file that is not there, or bytes that are not those asked for: no retry can help, and the reason is told."""
    server.script = [answer]
    with pytest.raises(ImageUnavailable, match=evidence) as caught:
        fetched(server.url, 1000)

    assert not caught.value.retryable


def test_redirect(server: Server) -> None:
    """A redirect is followed, with the range, also to a relative address."""
    server.script = [hostile.redirect(server.url), hostile.redirect("/elsewhere")]

    assert fetched(server.url, 1000) == IMAGE[1000:]
    assert server.asked == ["bytes=1000-"] * 3


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/shadow",
        "ftp://127.0.0.1/image",
        "http://[",
    ],
)
def test_redirect_that_is_not_followed(server: Server, target: str) -> None:
    """A redirect to a metadata service, a file or nonsense ends there, and nothing is asked of the target."""
    server.script = [hostile.redirect(target)]
    with pytest.raises(ImageUnavailable):
        fetched(server.url)


def test_redirects_without_end(server: Server) -> None:
    """A circle of redirects ends with an error."""
    server.script = [hostile.redirect("/again")] * 20
    with pytest.raises(ImageUnavailable, match="redirects"):
        fetched(server.url)


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "https://[2001:db8::1]:8443/x"])
def test_ordinary_addresses_are_allowed(url: str) -> None:
    """An address of the provisioning network is none of those."""
    must_be_allowed(url)


def test_errors_are_ours(server: Server) -> None:
    """Whatever a server says first, no foreign exception leaves the door."""
    for noise in (b"", b"\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"):
        server.script = [lambda handler, said=noise: handler.wfile.write(said) and None]  # type: ignore[misc]
        try:
            fetched(server.url)
        except AgentError:
            continue
