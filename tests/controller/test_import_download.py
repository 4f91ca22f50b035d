# SPDX-License-Identifier: Apache-2.0
"""An import's file on its way from a server that misbehaves: whole and right, or an error."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from agent.controller.images import NOTHING, Announced
from agent.controller.imports.download import TRIES, Download, session
from agent.controller.refusal import ImageMismatch
from agent.errors import AccessDenied, ImageChanged, ImageUnavailable, LinkError, Recalled
from agent.model.image import OPEN, Access
from tests import hostile
from tests.host.namespace import in_new_network
from tests.hostile import Server, serving
from tests.loops import command

FILE = random.Random(4).randbytes(3_000_001)


@pytest.fixture
def server() -> Iterator[Server]:
    """With the file."""
    with serving(FILE) as running:
        yield running


def fetched(
    server: Server,
    path: Path,
    access: Access = OPEN,
    announced: Announced = NOTHING,
    tell: Callable[[str, int, int | None], None] = lambda *_: None,
) -> bytes:
    """What is in the file afterwards."""
    Download(server.url, access, announced, tell, pause_s=0.01).to(path / "source")
    return (path / "source").read_bytes()


def test_it_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    """Over errors and breaks, with one range for the rest each time, and only of the same file."""
    server.script = [hostile.status(503), hostile.cut_after(1_500_000), hostile.reset_after(1_200_000)]
    digests = Announced(hashlib.sha256(FILE).hexdigest(), hashlib.sha512(FILE).hexdigest())

    assert fetched(server, tmp_path, announced=digests) == FILE
    assert server.asked[:2] == [None, None] and all(server.asked[2:])
    assert {told.get("If-Range") for told in server.told[2:]} == {'"first"'}


OK, LINE = b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


@pytest.mark.parametrize(
    ("begin", "rest"),
    [(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (CHUNKED, LINE), (OK, LINE), (CHUNKED.replace(b"3\r", b"-5\r"), b"")],
)
def test_answers_without_end(server: Server, tmp_path: Path, begin: bytes, rest: bytes) -> None:
    """What a server sends without end, or as a size that is none, is an error, and no importer is held up by it."""
    server.script = [hostile.verbatim(begin, rest)] * TRIES * 4
    with pytest.raises((LinkError, ImageChanged)):
        fetched(server, tmp_path)


def test_a_length_that_is_none(server: Server, tmp_path: Path) -> None:
    """It is taken for one that was not told."""
    server.script = [hostile.verbatim(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc")]
    assert fetched(server, tmp_path) == b"abc"


def test_a_file_that_changed(server: Server, tmp_path: Path) -> None:
    """Two halves of two files are an error."""

    def change(handler: hostile.Handler) -> None:
        server.body, server.etag = bytes(len(FILE)), '"second"'
        hostile.good(handler)

    server.script = [hostile.cut_after(1_500_000), change]
    with pytest.raises(ImageChanged):
        fetched(server, tmp_path)


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    """What broke off there is not put together from the beginning of another answer."""
    server.script = [hostile.cut_after(1_500_000), hostile.without_ranges]
    with pytest.raises(ImageChanged):
        fetched(server, tmp_path)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (hostile.status(404), ImageUnavailable),
        (hostile.status(401), AccessDenied),
        (hostile.status(403), AccessDenied),
    ],
)
def test_what_does_not_get_better(
    server: Server, tmp_path: Path, answer: hostile.Answer, kind: type[Exception]
) -> None:
    """It is asked for once."""
    server.script = [answer]
    with pytest.raises(kind):
        fetched(server, tmp_path)
    assert len(server.asked) == 1


def test_patience_ends(server: Server, tmp_path: Path) -> None:
    """After a few attempts."""
    server.script = [hostile.status(502)] * 50
    with pytest.raises(LinkError, match="502"):
        fetched(server, tmp_path)
    assert len(server.asked) == TRIES


@pytest.mark.parametrize("announced", [Announced(sha256="0" * 64), Announced(sha512="0" * 128)])
def test_another_file(server: Server, tmp_path: Path, announced: Announced) -> None:
    """Its digest is not what was announced."""
    with pytest.raises(ImageMismatch):
        fetched(server, tmp_path, announced=announced)


@pytest.mark.parametrize(
    ("access", "header"),
    [
        (OPEN, None),
        (Access(bearer=SecretStr("t0ken")), "Bearer t0ken"),
        (Access(username="me", password=SecretStr("pw")), "Basic bWU6cHc="),
    ],
)
def test_credentials(server: Server, tmp_path: Path, access: Access, header: str | None) -> None:
    """They are sent, and no others."""
    assert fetched(server, tmp_path, access) == FILE
    assert [told.get("Authorization") for told in server.told] == [header]


def test_credentials_stay_at_home(server: Server, tmp_path: Path) -> None:
    """Where a redirect leads to another server, they are not sent."""
    with serving(FILE) as other:
        server.script = [hostile.redirect(other.url.replace("127.0.0.1", "localhost"))]
        assert fetched(server, tmp_path, Access(bearer=SecretStr("t0ken"))) == FILE
    assert [told.get("Authorization") for told in other.told] == [None]


def test_credentials_in_the_url(server: Server, tmp_path: Path) -> None:
    """They are credentials like others."""
    Download(server.url.replace("//", "//me:pw@"), OPEN, NOTHING, lambda *_: None).to(tmp_path / "source")
    assert [told.get("Authorization") for told in server.told] == ["Basic bWU6cHc="]


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/", "http://0xa9fea9fe/", "file:///etc/shadow", "http://[fe80::1]/"]
)
def test_redirects_that_lead_astray(server: Server, tmp_path: Path, target: str) -> None:
    """To where metadata services are, or to no server at all: they are not followed."""
    server.script = [hostile.redirect(target)]
    with pytest.raises(ImageUnavailable, match=r"link-local|only http"):
        fetched(server, tmp_path)
    assert len(server.asked) == 1


def test_redirects_without_end(server: Server, tmp_path: Path) -> None:
    """A circle ends."""
    server.script = [hostile.redirect("/again")] * 20
    with pytest.raises(ImageUnavailable, match="redirects"):
        fetched(server, tmp_path)


@pytest.mark.root
def test_a_name_that_leads_astray() -> None:
    """A link-local server is asked for nothing, whatever name led there."""
    asked = list[bytes]()

    def lured() -> None:
        command("ip", "link", "set", "lo", "up")
        command("ip", "address", "add", "169.254.7.7/32", "dev", "lo")
        with socket.create_server(("169.254.7.7", 0)) as metadata:
            listening = Thread(target=answer, args=(metadata,))
            listening.start()
            try:
                with session(OPEN) as http:
                    http.get(f"http://169.254.7.7:{metadata.getsockname()[1]}/", stream=True, timeout=10)
            finally:
                listening.join(10)

    def answer(metadata: socket.socket) -> None:
        with metadata.accept()[0] as connection:
            asked.append(connection.recv(1000))

    with pytest.raises(ImageUnavailable, match="is link-local"):
        in_new_network(lured)
    assert asked == [b""]


def test_weak_validators(server: Server, tmp_path: Path) -> None:
    """They are compared, and not sent as a condition, which servers must not take them for."""
    server.etag = 'W/"first"'
    server.script = [hostile.cut_after(1_500_000)]
    assert fetched(server, tmp_path) == FILE
    assert [told.get("If-Range") for told in server.told] == [None, None]


def test_it_ends_when_it_is_not_wanted(server: Server, tmp_path: Path) -> None:
    """Between two pieces, and while it waits for a server that is away."""

    def tell(_doing: str, _done: int, _total: int | None) -> None:
        raise Recalled("importing an image", "it was deleted")

    with pytest.raises(Recalled):
        fetched(server, tmp_path, tell=tell)
    server.script = [hostile.status(503)]
    with pytest.raises(Recalled):
        fetched(server, tmp_path, tell=tell)


def test_what_is_not_its_owners_to_see(server: Server, tmp_path: Path) -> None:
    """What listens on the controller for itself is no image of a project's, whatever name or proxy leads there."""
    port = server.url.split(":")[2]
    for url, access in (
        (server.url, OPEN),
        (f"http://localhost:{port}", OPEN),
        ("http://images.example/x", Access(proxy=server.url.removesuffix("/image"))),
    ):
        with pytest.raises(ImageUnavailable, match="is this machine itself"):
            Download(url, access, NOTHING, lambda *_: None, inside=()).to(tmp_path / "source")
        assert not (tmp_path / "source").read_bytes()
    assert server.asked == []


@pytest.mark.root
@pytest.mark.parametrize("proxied", ["no", "by the project", "by the operator"])
def test_a_project_reaches_no_private_network(tmp_path: Path, proxied: str) -> None:
    """What listens there hears nothing, whoever is to ask it; unless the operator names the network, or it is the
    operator's own proxy, which then is asked for nothing in there.
    """

    def download(*inside: IPv4Network, url: str = "http://10.9.0.7:8000/image") -> bytes:
        access = Access(proxy="http://10.9.0.7:8000") if proxied == "by the project" else OPEN
        Download(url, access, NOTHING, lambda *_: None, pause_s=0.01, inside=inside).to(tmp_path / "source")
        return (tmp_path / "source").read_bytes()

    def served() -> None:
        command("ip", "link", "set", "lo", "up")
        command("ip", "address", "add", "10.9.0.7/32", "dev", "lo")
        with serving(FILE, host="10.9.0.7", port=8000) as private:
            for inside in ((), (IPv4Network("10.8.0.0/16"),)):
                with pytest.raises(ImageUnavailable, match=r"10\.9\.0\.7, is of a private network"):
                    download(*inside)
            assert private.asked == []
            assert download(IPv4Network("10.9.0.0/24")) == FILE
            if proxied == "by the operator":
                assert download(url="http://images.example/image") == FILE

    with proxy_in_environment("http://10.9.0.7:8000" if proxied == "by the operator" else None):
        in_new_network(served)


@contextmanager
def proxy_in_environment(proxy: str | None) -> Iterator[None]:
    """For the time of a test."""
    before = dict(os.environ)
    os.environ |= {"http_proxy": proxy} if proxy else {}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def test_where_a_redirect_may_lead() -> None:
    """To this machine itself only from there; a name is looked at once it is connected to."""
    allowed = Download("http://images.example/x", OPEN, NOTHING, lambda *_: None)
    own = Download("http://127.0.0.1:80/x", OPEN, NOTHING, lambda *_: None)

    assert not allowed.allowed("http://cdn.example/x").may_be_here
    assert allowed.allowed("http://images.example/y").may_be_here
    assert own.allowed("http://other.example/x").may_be_here
