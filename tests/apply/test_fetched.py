# SPDX-License-Identifier: Apache-2.0
"""What steps name beside the image is fetched by the process that writes images: as in one, whatever becomes of it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr

from agent.api.ironic.fetched import completed
from agent.apply.fetch import PAUSES_S, beginning
from agent.apply.inject import content
from agent.apply.writer.fetched import relayed
from agent.errors import (
    AccessDenied,
    ImageUnavailable,
    InputError,
    LinkError,
    WriterDistrusted,
    WriterFailed,
)
from agent.host.answer import SLOWEST_BYTES_PER_S
from agent.host.fake import FakeHost, Machine, Page
from agent.host.line import Line
from agent.model.frozen import decode
from agent.model.image import Access
from agent.model.inject import FileToInject
from agent.model.writing import FETCHED_BYTES, Begin, Fetched, FromWriter, Step, ToWriter, Wanted
from tests.apply.disks import MIB, machine
from tests.apply.lending import WAIT_S, Mortal, Served, honest, listening, mortal
from tests.apply.real import host
from tests.apply.started import started
from tests.hostile import Handler, serving, stall_after
from tests.nobody import NOBODY

URL = "http://files.example/key?token=hunter2"
TEXT = bytes(range(256)) * 16 * 1024
SMALL_S = 0.3
STARTS_S = 8.0
"""So soon a process has started, and has begun."""


def served(body: bytes = TEXT, **more: Any) -> Machine:
    """One on whose web it is."""
    made = machine(12 * MIB)
    made.web[URL] = Page(body, **more)
    return made


def got(most_bytes: int, *processes: Served, access: Access | None = None) -> bytes:
    """Asked for by root, who has no such web."""
    with listening(*processes) as socket:
        return beginning(FakeHost.of(machine(12 * MIB)), URL, most_bytes, socket, access or Access())


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize(
    "most_bytes", [0, 1, FETCHED_BYTES - 1, FETCHED_BYTES, FETCHED_BYTES + 1, len(TEXT) - 1, len(TEXT), len(TEXT) + 1]
)
def test_as_in_one_process(most_bytes: int, tells_length: bool) -> None:
    """So many bytes, or all."""
    made = served(tells_length=tells_length)
    alone = beginning(FakeHost.of(made), URL, most_bytes, None)

    assert got(most_bytes, honest(made)) == alone == TEXT[:most_bytes]


def test_nothing_is_a_file_too() -> None:
    """An empty one."""
    assert got(5, honest(served(b""))) == b""


def test_who_is_let_in() -> None:
    """Credentials go along; without them it is refused, as the server did."""
    access = Access(username="u", password=SecretStr("hunter2"))
    made = served(access=access)

    assert got(4, honest(made), access=access) == TEXT[:4]
    with pytest.raises(AccessDenied):
        got(4, honest(made))


def test_errors_are_what_they_are() -> None:
    """What no other try helps is not tried again, and is the server's error. No secret is in it."""
    made = machine(12 * MIB)
    with pytest.raises(ImageUnavailable) as there:
        got(4, honest(made))
    with pytest.raises(ImageUnavailable) as here:
        beginning(FakeHost.of(made), URL, 4, None)

    assert str(there.value) == str(here.value) and "hunter2" not in str(there.value)


@pytest.mark.parametrize("by", [honest, None])
def test_what_breaks_is_tried_again(by: Callable[[Machine], Served] | None) -> None:
    """A few times."""

    def ask(made: Machine) -> bytes:
        return got(len(TEXT), by(made)) if by else beginning(FakeHost.of(made), URL, len(TEXT), None)

    assert ask(served(refusals=len(PAUSES_S) - 1, breaks_at=[FETCHED_BYTES + 5])) == TEXT
    with pytest.raises(LinkError):
        ask(served(refusals=len(PAUSES_S) + 1))


def test_killed_at_any_piece() -> None:
    """The next process is asked for all of it."""
    met: list[Mortal] = []
    assert got(len(TEXT), mortal(served(), None, met)) == TEXT
    pieces = met[0].pieces

    assert pieces == 1 + len(TEXT) // FETCHED_BYTES + 1
    for at in range(1, pieces + 1):
        assert got(len(TEXT), mortal(served(), at, met), honest(served())) == TEXT


def test_killed_again_and_again() -> None:
    """It is given up, and is not the server's fault."""
    met: list[Mortal] = []
    with pytest.raises(WriterFailed) as failed:
        got(len(TEXT), mortal(served(), 3, met))

    assert len(met) == len(PAUSES_S) + 1 and "hunter2" not in str(failed.value)


def test_nobody_listens() -> None:
    """Nor does root fetch then."""
    made = served()
    with pytest.raises(WriterFailed, match="No such file"):
        beginning(FakeHost.of(made), URL, 4, "/nobody/listens")
    assert not made.web[URL].opened_at


def say(line: Line, told: Fetched | Begin | Step, body: bytes = b"") -> None:
    """To root."""
    line.send(FromWriter(said=told).model_dump_json().encode(), body, WAIT_S)


def too_much(line: Line) -> None:
    """A byte more than was asked for."""
    say(line, Fetched(), TEXT[:4])
    say(line, Fetched(), b"x")


def far_too_much(line: Line) -> None:
    """At once."""
    say(line, Fetched(), TEXT[: FETCHED_BYTES + 1])


def a_disk(line: Line) -> None:
    """Is wanted, though it was to fetch."""
    say(line, Begin(), TEXT[:4])


def alive(line: Line) -> None:
    """Is not what was asked."""
    say(line, Step())


def junk(line: Line) -> None:
    """No words."""
    line.send(b'{"said": {"kind": "steal"}}', b"", WAIT_S)


@pytest.mark.parametrize("lie", [too_much, far_too_much, a_disk, alive, junk])
def test_taken(lie: Callable[[Line], None]) -> None:
    """It says what cannot be so: nothing of it is used, and it is not asked again."""
    asked = 0

    def lies(line: Line) -> None:
        nonlocal asked
        asked += 1
        assert line.receive(WAIT_S)
        lie(line)
        assert line.receive(WAIT_S) is None, "root has more to say"

    with pytest.raises(WriterDistrusted):
        got(4, lies)
    assert asked == 1


@pytest.mark.parametrize("begun", [b"", TEXT[:2]])
def test_silence(begun: bytes) -> None:
    """Nothing, or not all: it is hung up on when the slowest server would be through."""
    hung_up = False

    def waits(line: Line) -> None:
        nonlocal hung_up
        assert line.receive(WAIT_S)
        if begun:
            say(line, Fetched(), begun)
        hung_up = line.receive(WAIT_S) is None

    with listening(waits) as socket, pytest.raises(WriterFailed, match="nothing whole came"):
        relayed(FakeHost.of(machine(12 * MIB)), URL, 4, Access(), socket, SMALL_S)
    assert hung_up


def test_drop_by_drop() -> None:
    """The time is for all of it, and begins with no piece anew."""
    said = 0

    def drips(line: Line) -> None:
        nonlocal said
        assert line.receive(WAIT_S)
        while not Event().wait(SMALL_S / 10) and not line.is_left:
            say(line, Fetched(), b"x")
            said += 1

    with listening(drips) as socket, pytest.raises(WriterFailed):
        relayed(FakeHost.of(machine(12 * MIB)), URL, 1000, Access(), socket, SMALL_S)
    assert 1 < said < 1000


def test_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where, how much, whom to trust, and by which proxy; no file goes along."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    host, heard = FakeHost.of(machine(12 * MIB)), list[tuple[bytes, bytes, tuple[int, ...]]]()
    host.fetch.trusting("PEM")

    def hears(line: Line) -> None:
        piece = line.receive_files(WAIT_S, 1)
        assert piece
        heard.append(piece)
        say(line, Fetched())

    with listening(hears) as socket:
        assert beginning(host, URL, 7, socket) == b""

    (head, body, files) = heard[0]
    wanted = decode(Wanted, body, "listening")
    assert decode(ToWriter, head, "listening").said.kind == "fetch" and not files
    assert (wanted.url.get_secret_value(), wanted.most_bytes, wanted.trusted.ca_pem) == (URL, 7, "PEM")
    assert wanted.proxies["http_proxy"] == "http://proxy:3128"


def test_a_file_to_inject() -> None:
    """By that process, if there is one; what is too large is refused by root."""
    file = FileToInject(path="/etc/key", url=SecretStr(URL))
    with listening(honest(served())) as socket:
        assert content(FakeHost.of(machine(12 * MIB)), file, socket) == TEXT
    with listening(honest(served(bytes(64 * MIB + 1)))) as socket, pytest.raises(InputError, match="more than 64 MiB"):
        content(FakeHost.of(machine(12 * MIB)), file, socket)


def test_what_ironic_names() -> None:
    """A config drive, and what an image is: root's own door to the web is never used."""
    made = machine(12 * MIB)
    drive = base64.b64encode(b"drive").decode()
    made.web["http://ironic/drive"] = Page(drive.encode())
    made.web["http://glance/a"] = Page(b"QFI\xfb\0\0\0\3" + bytes(100))
    made.web["http://glance/b"] = Page(bytes(200))
    with listening(honest(made)) as socket:
        for name, kind in (("a", "qcow2"), ("b", "raw")):
            args = {"configdrive": "http://ironic/drive", "image_info": {"urls": [f"http://glance/{name}"]}}
            found = completed(FakeHost.of(machine(12 * MIB)), args, None, socket)
            assert (found["configdrive"], found["image_info"]["disk_format"]) == (drive, kind)


@pytest.mark.root
def test_nobody_fetches_it(tmp_path: Path) -> None:
    """The command as systemd starts it, another user's, a process for each; the way to Ironic's arguments."""
    body = base64.b64encode(TEXT)
    with serving(body) as server, started(tmp_path) as writer:
        url = f"{server.url}?token=hunter2"
        found = completed(host(), {"configdrive": url, "image_info": {"urls": [server.url]}}, None, writer.path)

        assert found == {"configdrive": body.decode(), "image_info": {"urls": [server.url], "disk_format": "raw"}}
        user = NOBODY if os.geteuid() == 0 else os.geteuid()
        assert writer.log.count(f"fetching for root as user {user}") == 2 and "hunter2" not in writer.log


@pytest.mark.root
def test_killed_by_the_kernel(tmp_path: Path) -> None:
    """In the middle of the body: the next is asked, and gives all of it."""
    with serving(TEXT) as server, started(tmp_path) as writer:

        def kills(handler: Handler) -> None:
            handler.wfile.write(handler.begin_body()[: len(TEXT) // 2])
            handler.wfile.flush()
            writer.kill()

        server.script = [kills]
        assert beginning(host(), server.url, len(TEXT), writer.path) == TEXT
        assert len(server.asked) == 2 and writer.users == [NOBODY if os.geteuid() == 0 else os.geteuid()]


@pytest.mark.root
def test_one_that_stays_is_killed(tmp_path: Path) -> None:
    """Who was hung up on does not stand in the next one's way; no server can keep it."""
    with serving(TEXT) as server, started(tmp_path) as writer:
        server.script = [stall_after(2 * FETCHED_BYTES)]
        with pytest.raises(WriterFailed, match="nothing whole came"):
            relayed(host(), server.url, len(TEXT), Access(), writer.path, STARTS_S - len(TEXT) / SLOWEST_BYTES_PER_S)
        assert beginning(host(), server.url, len(TEXT), writer.path) == TEXT
