# SPDX-License-Identifier: Apache-2.0
"""Sources over the real door, from a real nginx: with and without TLS, restarted and changed while it is read."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
from pydantic import SecretStr

from agent.apply.meter import Meter, Stage
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.errors import AccessDenied, ImageChanged, ImageTruncated, ImageUnavailable, LinkError
from agent.host.clock import RealClock
from agent.host.fake import FakeHost
from agent.host.fetch import RealFetch
from agent.host.files import RealFiles
from agent.host.memory import aligned
from agent.model.image import OPEN, Access, ImageFormat, ImageRef
from tests.authority import Authority
from tests.bodies import whole
from tests.servers import Nginx, running

pytestmark = pytest.mark.root

FILE = random.Random(7).randbytes(9 * 1024 * 1024 + 5)
SIZE = len(FILE)
PIECE = 1024 * 1024
MINE = Access(username="me", password=SecretStr("pw"))


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """With the file at several places."""
    server = Nginx(tmp_path)
    with running(filled(server)):
        yield server


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Of the servers here."""
    return Authority()


@pytest.fixture
def secured(tmp_path: Path, authority: Authority) -> Iterator[Nginx]:
    """The same with TLS; its certificate is for localhost, and not for 127.0.0.1."""
    server = Nginx(tmp_path, authority.issue(tmp_path, "localhost"))
    with running(filled(server)):
        yield server


def filled(server: Nginx) -> Nginx:
    """Everywhere."""
    for path in ("disk", "plain/disk", "private/disk"):
        (server.www / path).write_bytes(FILE)
    return server


def statuses(server: Nginx) -> list[str]:
    """What it answered, in the order of the ends."""
    return [line.split('"')[2].split()[0] for line in server.asked()]


@contextmanager
def source(url: str, access: Access = OPEN, **more: object) -> Iterator[Source]:
    """Through the real doors."""
    host = replace(FakeHost.with_files({}), fetch=RealFetch(), clock=RealClock(), files=RealFiles())
    given = {"url": url, "format": ImageFormat.RAW, "sha256": "0" * 64, "access": access} | more
    with open_source(host, ImageRef.model_validate(given), Event(), Meter(host.clock)) as opened:
        yield opened


def fetched(url: str, access: Access = OPEN, offset: int = 0, length: int | None = None, **more: object) -> bytes:
    """What comes."""
    with source(url, access, **more) as opened, opened.reader(offset, length) as reader:
        return whole(reader, PIECE)


def test_whole_and_ranges(nginx: Nginx) -> None:
    """The file comes whole and in ranges, over one connection, whose requests are those that were needed."""
    with source(f"{nginx.url}/disk") as opened:
        assert opened.does_ranges and opened.size_bytes == SIZE
        for offset, length in ((0, None), (0, 10), (PIECE, PIECE), (SIZE - 5, 100), (SIZE - 5, None)):
            with opened.reader(offset, length) as reader:
                assert whole(reader, PIECE) == FILE[offset:][:length]
    assert statuses(nginx) == ["206", "200", "206", "206", "206", "206"]


def test_server_without_ranges(nginx: Nginx) -> None:
    """A server that gives no ranges is seen to give none; all of the file can be had, also after it was restarted."""
    with source(f"{nginx.url}/plain/disk") as opened:
        assert not opened.does_ranges and opened.size_bytes == SIZE
        with pytest.raises(ImageUnavailable, match="no ranges"), opened.reader(5, 5) as reader:
            whole(reader)
        with opened.reader() as reader:
            first = memoryview(bytearray(PIECE))
            reader.fill(first)
            nginx.stop()
            nginx.start()
            assert bytes(first) + whole(reader, PIECE) == FILE


@pytest.mark.parametrize("away_s", [0.0, 2.5])
def test_restart(nginx: Nginx, away_s: float) -> None:
    """A server that is restarted, or away for a while, costs a pause, not a byte."""
    with source(f"{nginx.url}/disk") as opened, opened.reader() as reader:
        first = memoryview(bytearray(PIECE))
        reader.fill(first)
        nginx.stop()
        timer = Timer(away_s, nginx.start)
        timer.start()
        got = bytes(first) + whole(reader, PIECE)
        timer.join(30)
    assert got == FILE
    rest = statuses(nginx)  # nginx writes nothing down about what it was ended in
    assert "206" in rest and rest.count("200") <= 1


def test_file_that_is_replaced(nginx: Nginx) -> None:
    """A file that was replaced is an error at the first break, and for every reader that asks after it."""
    with source(f"{nginx.url}/disk") as opened:
        with opened.reader() as reader:
            reader.fill(memoryview(bytearray(PIECE)))
            (nginx.www / "new").write_bytes(bytes(SIZE))
            os.utime(nginx.www / "new", (1, 1))  # its ETag is made of the second and the size
            (nginx.www / "new").replace(nginx.www / "disk")
            nginx.stop()
            nginx.start()
            with pytest.raises(ImageChanged):
                whole(reader, PIECE)
        with pytest.raises(ImageChanged), opened.reader(5, 5) as reader:
            whole(reader)


def test_file_that_is_cut(nginx: Nginx) -> None:
    """A file that shrinks while it is read is never taken for whole."""
    with source(f"{nginx.url}/disk") as opened, opened.reader() as reader:
        reader.fill(memoryview(bytearray(PIECE)))
        with (nginx.www / "disk").open("r+b") as file:
            file.truncate(PIECE)
        with pytest.raises((ImageChanged, ImageTruncated)):
            whole(reader, PIECE)


def test_threads(nginx: Nginx) -> None:
    """Several threads read their ranges side by side, into aligned memory, each over its own kept connection."""
    got: dict[int, bytes] = {}
    with source(f"{nginx.url}/disk") as opened:

        def work(first: int) -> None:
            buffer = aligned(PIECE)
            for offset in range(first * PIECE, SIZE, 4 * PIECE):
                with opened.reader(offset, PIECE) as reader:
                    got[offset] = bytes(buffer[: reader.fill(buffer)])

        threads = [Thread(target=work, args=(number,), name=f"reader-{number}") for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert b"".join(got[offset] for offset in sorted(got)) == FILE


def test_credentials(nginx: Nginx) -> None:
    """A password lets in, beside the URL and in it; without it, or with another, the refusal is the error."""
    url = f"{nginx.url}/private/disk"
    assert fetched(url, MINE) == FILE == fetched(url.replace("//", "//me:pw@"))
    for access in (OPEN, MINE.model_copy(update={"password": SecretStr("other")})):
        with pytest.raises(AccessDenied) as caught:
            fetched(url, access)
        assert caught.value.challenge == 'Basic realm="images"'


def test_mirrors_and_checksums(nginx: Nginx) -> None:
    """A mirror stands in for what is not there; the digest is found in the checksum file."""
    (nginx.www / "SHA256SUMS").write_text(f"{'a' * 64} *missing\n{'b' * 64} *disk\n")
    more: dict[str, Any] = {"mirrors": (f"{nginx.url}/nowhere", f"{nginx.url}/away/disk"), "sha256": None}
    with source(f"{nginx.url}/missing", checksums=f"{nginx.url}/SHA256SUMS", **more) as opened:
        assert opened.image.sha256 == "a" * 64
        with opened.reader() as reader:
            assert whole(reader, PIECE) == FILE


def test_sending(nginx: Nginx) -> None:
    """What is sent is what is there then."""
    RealFetch().send(f"{nginx.url}/upload/new/disk", (FILE[at : at + PIECE] for at in range(0, SIZE, PIECE)))
    assert (nginx.www / "upload/new/disk").read_bytes() == FILE
    with pytest.raises(ImageUnavailable, match="405"):
        RealFetch().send(f"{nginx.url}/disk", [b"x"])


def test_tls(secured: Nginx, authority: Authority) -> None:
    """With the authority that signed the server's certificate, all is as without TLS."""
    mine = Access(ca_pem=authority.pem)
    with source(f"{secured.url}/disk", mine) as opened:
        assert opened.does_ranges
        for offset, length in ((0, None), (PIECE, PIECE)):
            with opened.reader(offset, length) as reader:
                assert whole(reader, PIECE) == FILE[offset:][:length]
    assert fetched(f"{secured.url}/private/disk", MINE.model_copy(update={"ca_pem": authority.pem})) == FILE
    RealFetch().send(f"{secured.url}/upload/x", [FILE], access=mine)
    assert (secured.www / "upload/x").read_bytes() == FILE


def test_who_is_trusted(secured: Nginx, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's authorities are trusted where the image names none, and never beside those that it names."""
    (tmp_path / "system.pem").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    assert fetched(f"{secured.url}/disk") == FILE
    with pytest.raises(ImageUnavailable, match="certificate is not trusted"):
        fetched(f"{secured.url}/disk", Access(ca_pem=Authority().pem))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ImageUnavailable, match="certificate is not trusted") as caught:
        fetched(f"{secured.url}/disk")
    assert "authority" in caught.value.hint and not caught.value.retryable


def test_pinned_certificate(secured: Nginx, tmp_path: Path) -> None:
    """What is pinned may be the server's own certificate."""
    assert fetched(f"{secured.url}/disk", Access(ca_pem=(tmp_path / "localhost.crt").read_text())) == FILE


def test_other_name(secured: Nginx, authority: Authority) -> None:
    """A certificate for another name is none."""
    with pytest.raises(ImageUnavailable, match=r"not trusted: .*IP address mismatch"):
        fetched(f"{secured.url}/disk".replace("localhost", "127.0.0.1"), Access(ca_pem=authority.pem))


def test_out_of_tls(secured: Nginx, authority: Authority) -> None:
    """A redirect from TLS to none is not followed; one within TLS is."""
    mine = Access(ca_pem=authority.pem)
    with pytest.raises(ImageUnavailable, match="out of TLS"):
        fetched(f"{secured.url}/out/disk", mine)
    assert fetched(f"{secured.url}/away/disk", mine, 5, 5) == FILE[5:10]


def test_tls_that_is_none(nginx: Nginx) -> None:
    """A server without TLS where TLS is asked for is told as that."""
    with pytest.raises(LinkError, match="TLS failed"), RealFetch()(f"{nginx.url}/disk".replace("http:", "https:")):
        pass


def test_tls_through_a_proxy(secured: Nginx, authority: Authority) -> None:
    """TLS goes through a proxy end to end: the proxy sees its own credentials and the server's name, nothing else."""
    with tunnelling() as (port, seen):
        access = Access(ca_pem=authority.pem, proxy=f"http://me:pw@127.0.0.1:{port}", bearer=SecretStr("s3cret"))
        with RealFetch()(f"{secured.url}/disk", access=access) as body:
            assert whole(body, PIECE) == FILE
    asked = b"".join(seen).decode().lower()
    assert asked.startswith(f"connect {secured.url.removeprefix('https://')} http/1.")
    assert "proxy-authorization: basic bwu6chc=" in asked and "s3cret" not in asked


@contextmanager
def tunnelling() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that takes one connection to wherever it is asked to; its port, and what it was asked."""
    seen: list[bytes] = []

    def relay(source_end: socket.socket, target_end: socket.socket) -> None:
        with suppress(OSError):  # who has read enough closes
            while piece := source_end.recv(65536):
                target_end.sendall(piece)
            target_end.shutdown(socket.SHUT_WR)

    def serve(listening: socket.socket) -> None:
        client, _ = listening.accept()
        client.settimeout(20)
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        seen.append(request)
        name, _, port = request.split()[1].decode().partition(":")
        with client, socket.create_connection((name, int(port)), timeout=20) as server:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            up = Thread(target=relay, args=(client, server), name="proxy-up", daemon=True)
            up.start()
            relay(server, client)
            up.join(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        thread = Thread(target=serve, args=(listening,), name="proxy", daemon=True)
        thread.start()
        yield listening.getsockname()[1], seen


def test_what_is_counted(nginx: Nginx) -> None:
    """The meter has every byte that came, and time for it."""
    host = replace(FakeHost.with_files({}), fetch=RealFetch(), clock=RealClock())
    meter = Meter(host.clock)
    ref = ImageRef(url=f"{nginx.url}/disk", format=ImageFormat.RAW, sha256="0" * 64)
    with open_source(host, ref, Event(), meter) as opened, opened.reader() as reader:
        whole(reader, PIECE)
    assert meter.bytes_of(Stage.SOURCE) == SIZE and int(meter.result()["source_percent"]) > 0
