# SPDX-License-Identifier: Apache-2.0
"""The rack's cache that we ship: a real nginx with our configuration before a real nginx with images."""

from __future__ import annotations

import hashlib
import http.client
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.nginx import SERVE, Server, cache, origin

pytestmark = pytest.mark.root

MIB = 1024**2
IMAGE = random.Random(5).randbytes(18 * MIB + 4321)
CHUNK = random.Random(6).randbytes(300_000)
CHUNK_PATH = "/store/chunks/{0:.2}/{0}.zst".format(hashlib.sha256(CHUNK).hexdigest())
READERS = 16
OLD_AT_ONCE = 'add_header Cache-Control "max-age=1";'
OLD_S = 2.5
"""nginx counts whole seconds: what may be kept for one is old when the clock has gone on by two."""


@dataclass(frozen=True)
class Answer:
    """What came, whole or not."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


@dataclass(frozen=True)
class Rack:
    """A source and a cache before it."""

    files: Path
    source: Server
    cache: Server

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Of the cache, over a connection of its own."""
        connection = http.client.HTTPConnection(self.cache.address, self.cache.port, timeout=30)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            try:
                return Answer(answer.status, told, answer.read(), is_whole=True)
            except http.client.IncompleteRead as error:
                return Answer(answer.status, told, error.partial, is_whole=False)
        finally:
            connection.close()

    def read(self, path: str, piece_bytes: int) -> bytes:
        """By ranges, as the agent does."""
        ranges = range(0, len(IMAGE), piece_bytes)
        return b"".join(self.ask(path, Range=f"bytes={at}-{at + piece_bytes - 1}").body for at in ranges)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the source has."""
    folder = tmp_path / "files"
    (folder / CHUNK_PATH[1:]).parent.mkdir(parents=True)
    (folder / CHUNK_PATH[1:]).write_bytes(CHUNK)
    (folder / "debian.zst").write_bytes(IMAGE)
    (folder / "secret.txt").write_bytes(b"not an image")
    return folder


@pytest.fixture
def rack(tmp_path: Path, files: Path) -> Iterator[Rack]:
    """Both, running."""
    with origin(files, tmp_path / "origin") as source, cache(source.url, tmp_path) as cached:
        yield Rack(files, source, cached)


@pytest.fixture
def ageing(tmp_path: Path, files: Path) -> Iterator[Rack]:
    """The same; the source says that all of it is old after a second."""
    with origin(files, tmp_path / "origin", more=OLD_AT_ONCE) as source, cache(source.url, tmp_path) as cached:
        yield Rack(files, source, cached)


def test_a_rack_costs_the_source_one_machine(rack: Rack) -> None:
    """Many readers at once, each with ranges of another size: everybody gets the image, and it left the source once."""
    sizes = [(3 + number) * 777_777 for number in range(READERS)]
    with ThreadPoolExecutor(READERS) as pool:
        assert all(got == IMAGE for got in pool.map(lambda size: rack.read("/debian.zst", size), sizes))

    assert rack.source.sent_bytes() < 1.01 * len(IMAGE)


def test_chunks_cost_the_source_once(rack: Rack) -> None:
    """A chunk by its digest's name is fetched once, however many ask at the same moment."""
    with ThreadPoolExecutor(READERS) as pool:
        answers = list(pool.map(lambda _: rack.ask(CHUNK_PATH), range(READERS)))

    assert all(answer.body == CHUNK for answer in answers)
    assert len(rack.source.requests()) == 1


def test_chunks_never_grow_old(ageing: Rack) -> None:
    """Whatever the source says of its age, a chunk that is here is not asked for again: its name says what it holds."""
    ageing.ask(CHUNK_PATH)
    time.sleep(OLD_S)

    assert ageing.ask(CHUNK_PATH).headers["x-cache"] == "HIT"
    assert len(ageing.source.requests()) == 1


def test_source_away(ageing: Rack) -> None:
    """What is here is served while the source is away, even when it is old."""
    ageing.ask("/debian.zst")
    time.sleep(OLD_S)
    ageing.source.kill()

    answer = ageing.ask("/debian.zst")
    assert (answer.body == IMAGE, answer.headers["x-cache"]) == (True, "STALE")
    assert ageing.ask("/another.zst").status == 502


def test_an_old_file_is_asked_after(ageing: Rack) -> None:
    """A file that is old and the same costs the source an answer without a body, slice by slice."""
    ageing.ask("/debian.zst")
    time.sleep(OLD_S)  # and the source's log is written
    before = len(ageing.source.requests())

    assert ageing.ask("/debian.zst").body == IMAGE
    time.sleep(0.5)
    assert {one.status for one in ageing.source.requests(before)} == {304}


def test_a_replaced_file_is_never_mixed(ageing: Rack) -> None:
    """After a file was replaced a reader gets the old, the new, or an answer that breaks off: never some of each."""
    new = random.Random(7).randbytes(len(IMAGE))
    ageing.ask("/debian.zst", Range=f"bytes={8 * MIB}-{12 * MIB}")
    time.sleep(OLD_S)
    ageing.ask("/debian.zst", Range="bytes=0-99")
    (ageing.files / "debian.zst").write_bytes(new)
    for _ in range(4):
        answer = ageing.ask("/debian.zst")
        whole = IMAGE if answer.body[:64] == IMAGE[:64] else new
        assert answer.body == whole[: len(answer.body)]
        assert answer.is_whole == (len(answer.body) == len(IMAGE))
        time.sleep(0.6)

    assert ageing.ask("/debian.zst").body == new


def test_credentials_are_not_taken(rack: Rack) -> None:
    """Who brings credentials, or a query, is refused, and neither they nor cookies go on or into any log, nor do they
    when the source is away, which the log of errors tells.
    """
    assert rack.ask("/debian.zst", Authorization="Bearer topsecret").status == 403
    assert {rack.ask(f"{path}?signature=topsecret").status for path in ("/debian.zst", CHUNK_PATH)} == {403}
    assert not rack.source.requests()

    rack.ask("/debian.zst", Cookie="session=topsecret")
    rack.source.kill()
    for path in ("/another.zst", "/another.zst?signature=topsecret"):
        assert rack.ask(path, Cookie="session=topsecret").status in (403, 502)
    kept = [file for server in (rack.cache, rack.source) for file in server.folder.rglob("*") if file.is_file()]
    assert "/another.zst" in (rack.cache.folder / "error.log").read_text()
    assert not [file for file in kept if b"topsecret" in file.read_bytes()]


def test_nothing_but_images(rack: Rack) -> None:
    """Only images are passed on, and only to who reads."""
    assert rack.ask("/secret.txt").status == rack.ask("/v1/nodes").status == 404
    assert {rack.ask("/debian.zst", method=method).status for method in ("PUT", "POST", "DELETE")} == {405}
    assert rack.ask("/debian.zst", method="HEAD").headers["content-length"] == str(len(IMAGE))
    assert {one.path for one in rack.source.requests()} <= {"/debian.zst"}


def test_a_cache_that_dies_leaves_its_disk_in_order(rack: Rack, tmp_path: Path) -> None:
    """Killed while it fetches, and started again on the same folder, it serves what is right."""
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(rack.ask, "/debian.zst") for _ in range(4)]
        time.sleep(0.01)
        rack.cache.kill()
        for one in reads:
            assert one.exception() is not None or IMAGE.startswith(one.result().body)

    with cache(rack.source.url, tmp_path) as again:
        assert Rack(rack.files, rack.source, again).ask("/debian.zst").body == IMAGE


@pytest.mark.parametrize(
    "wrong",
    [
        ["--origin", "http://images.example/; include /etc/passwd"],
        ["--origin", "ftp://images.example"],
        ["--origin", "http://user:secret@images.example"],
        ["--origin", "http://images.example", "--folder", "/tmp/a b"],
        ["--origin", "http://images.example", "--size", "much"],
        ["--orgin", "http://images.example"],
    ],
)
def test_wrong_words_are_refused(wrong: list[str]) -> None:
    """What is no address, folder or size never reaches the configuration."""
    done = subprocess.run([SERVE, *wrong], capture_output=True, text=True, check=False, timeout=20)

    assert done.returncode == 1
    assert "error" in done.stderr
