# SPDX-License-Identifier: Apache-2.0
"""The split under Ironic: another process reads what comes, root judges it. What each believes of the other, and what
happens when either goes away, or goes mad.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
import requests
from pydantic import SecretStr

from agent.api.ironic.commands import Command, Kind, Outcome
from agent.api.ironic.desk import Answers
from agent.api.ironic.process import MOST_DEATHS, Root
from agent.api.ironic.relay import LINES, front_of
from agent.config import Settings
from agent.errors import LinkError
from agent.host.fake import FakeHost
from agent.host.line import BODY_BYTES, HEAD_BYTES, Line, close_all
from agent.life.sd_notify import Notifier
from agent.model.frozen import decode
from agent.model.ironic.asked import LARGEST_BODY_BYTES, Answered, Asked, Opening, Page
from tests.api.ironic.asked import node
from tests.api.ironic.served import TIMEOUT_S, TOKEN, Agent, Hearing, beside, serving, until
from tests.link.beside import Started, listener, user_of
from tests.nobody import NOBODY, as_nobody

SYNC = json.dumps({"name": "standby.sync", "params": {}}).encode()
STEP = "deploy.execute_deploy_step"
HANDED_OVER = as_nobody(
    "api",
    """
import socket, structlog
from ctypes import CDLL, c_uint, c_uint64, c_void_p
from threading import Event
from agent.life.sd_notify import Notifier
from agent.api.ironic.process import run
lib = CDLL("libseccomp.so.2")
lib.seccomp_init.restype = c_void_p
rules, deny = c_void_p(lib.seccomp_init(c_uint(0x7FFF0000))), c_uint(0x00050001)
for name in (b"bind", b"listen", b"connect"):
    assert lib.seccomp_rule_add_array(rules, deny, lib.seccomp_syscall_resolve_name(name), c_uint(0), None) == 0
for family in (socket.AF_INET, socket.AF_INET6):
    is_that = (c_uint64 * 3)(4 << 32, family, 0)  # its first argument is equal to it
    assert lib.seccomp_rule_add_array(rules, deny, lib.seccomp_syscall_resolve_name(b"socket"), c_uint(1), is_that) == 0
assert lib.seccomp_load(rules) == 0
try:
    socket.socket(socket.AF_INET)
    sys.exit("a socket of the Internet's was made")
except PermissionError:
    pass
""",
    "run(Notifier(), Event())",
)


class Done:
    """A command that writes down that it was done; its row."""

    def __init__(self, kind: Kind) -> None:
        self.ids: list[str] = []
        self.over = Event()
        self.row = Command(kind, self._run)

    def _run(self, command_id: str, _: dict[str, Any]) -> Outcome:
        self.ids.append(command_id)
        self.over.wait(TIMEOUT_S)
        return Outcome(result={})


class Dying:
    """Does what it is asked, and is gone before it says so, so many times."""

    def __init__(self, times: int, page: Page = Page.ORDER) -> None:
        self.left = times
        self.asked: list[Asked] = []
        self._page = page

    def before(self, desk: Answers) -> Answers:
        """Stand there."""
        self._desk = desk
        return self

    def answered(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """Raises `LinkError`, which ends the line."""
        found = self._desk.answered(asked, body)
        if asked.page is self._page and not asked.is_announced:
            self.asked.append(asked)
            if self.left:
                self.left -= 1
                raise LinkError("dying", "now")
        return found


@pytest.mark.parametrize("kind", [Kind.DONE, Kind.STARTED, Kind.LOOKED])
def test_an_answer_that_was_lost(tmp_path: Path, kind: Kind) -> None:
    """Root dies after it was ordered something and before it said so: it is asked again, as the same, and what was
    begun is not begun again. Ironic, which waits, has an answer."""
    done, dying = Done(kind), Dying(1)
    done.over.set()
    with (
        beside(tmp_path) as path,
        serving(FakeHost.with_files({}), tmp_path, beside=path, rows={"x.y": done.row}, by=dying.before) as agent,
    ):
        answer = agent.post("x.y", wait=kind is not Kind.LOOKED)
        listed = agent.listed()

    assert (answer["status"], answer["command_status"]) == (200, "SUCCEEDED")
    first, second = dying.asked
    assert first == second and answer["id"] == first.id
    assert [one["id"] for one in listed] == ([] if kind is Kind.LOOKED else [first.id])
    assert done.ids == [first.id] * (2 if kind is Kind.LOOKED else 1)


def test_a_request_that_kills(tmp_path: Path) -> None:
    """It is not asked for ever: Ironic is told, in a form that it can read."""
    dying = Dying(99, Page.COMMANDS)
    with beside(tmp_path) as path, serving(FakeHost.with_files({}), tmp_path, beside=path, by=dying.before) as agent:
        answer = agent.get("/v1/commands/")
        assert agent.get("/", None).status_code == 200

    assert answer.status_code == 503 and "started again" in answer.json()["faultstring"]
    assert len(dying.asked) == MOST_DEATHS + 1


def test_root_is_started_again(tmp_path: Path) -> None:
    """A command runs, and root's process ends: who waits for its end is answered by the next process, and what is
    ordered in between waits. Nothing is lost, and nothing done twice."""
    host, done, heard = FakeHost.with_files({}), Done(Kind.STARTED), Hearing()
    answers: list[Any] = []

    def call(agent: Agent, command_id: str) -> None:
        answers.append(agent.ended(command_id))

    with beside(tmp_path) as path:
        with serving(host, tmp_path, beside=path, rows={"x.y": done.row}, by=heard.before) as first:
            begun = first.post("x.y")
            waiting = Thread(target=call, args=(first, begun["id"]))
            waiting.start()
            until(lambda: Page.COMMAND in heard.pages)
        assert waiting.is_alive() and begun["command_status"] == "RUNNING"
        again = Done(Kind.STARTED)
        again.over.set()
        with serving(host, tmp_path, beside=path, rows={"x.y": again.row}) as second:
            waiting.join(TIMEOUT_S)
            assert [one["id"] for one in second.listed()] == [begun["id"]]
        done.over.set()

    assert [one["command_status"] for one in answers] == ["SUCCEEDED"]
    assert again.ids == [begun["id"]]


def test_who_is_away_too_long(tmp_path: Path) -> None:
    """Ironic is told before it gives up by itself."""
    with beside(tmp_path, root=Root(patience_s=0.2)) as path:
        with serving(FakeHost.with_files({}), tmp_path, beside=path) as agent:
            assert agent.listed() == []
            kept = os.dup(int(agent.place.fileno()))
        with socket.socket(fileno=kept):
            answer = agent.get("/v1/commands/")

    assert answer.status_code == 503 and answer.json()["faultcode"] == "Server"


def test_an_order_larger_than_other_pieces(tmp_path: Path) -> None:
    """A config drive comes with its command, up to the same end as without the other process."""
    assert LARGEST_BODY_BYTES > BODY_BYTES
    done = Done(Kind.DONE)
    done.over.set()
    with (
        beside(tmp_path) as path,
        serving(FakeHost.with_files({}), tmp_path, beside=path, rows={"x.y": done.row}) as agent,
    ):
        assert agent.post("x.y", {"configdrive": "x" * (BODY_BYTES + 1)})["status"] == 200


def test_the_end(tmp_path: Path) -> None:
    """Root shuts the socket: nobody is served there any more, whoever else has it and does what with it."""
    with beside(tmp_path) as path, serving(FakeHost.with_files({}), tmp_path, beside=path) as agent:
        assert agent.listed() == []
        with socket.socket(fileno=os.dup(agent.place.fileno())) as kept:
            where = kept.getsockname()
            Notifier({}).let_go("ironic", agent.place)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(where, TIMEOUT_S)
            with pytest.raises(OSError, match="Invalid argument"):
                kept.accept()


def test_strangers(tmp_path: Path) -> None:
    """Who is neither root nor the process's own user lends it nothing, and is not asked."""
    with (
        beside(tmp_path, trusts={NOBODY}) as path,
        serving(FakeHost.with_files({}), tmp_path, beside=path) as agent,
        pytest.raises(requests.Timeout),
    ):
        requests.get(agent.url, verify=agent.ca, timeout=1.0)


class Taken:
    """The other process, in somebody else's hands: it has what root lends it, and says what it likes."""

    def __init__(self, at: socket.socket) -> None:
        self._at = at
        self.opening: Opening | None = None
        self.connected = at
        """The newest line, bare."""

    def line(self) -> Line:
        """The next that root opens."""
        self.connected, _ = self._at.accept()
        line = Line(self.connected, "lying", LARGEST_BODY_BYTES)
        found = line.receive_files(TIMEOUT_S, 1)
        assert found is not None
        close_all(found[2])
        opening = decode(Opening, found[0], "lying")
        self.opening = opening if opening.serving else self.opening
        return line

    def ask(self, page: Page, body: bytes = b"", token: str = TOKEN, **more: Any) -> tuple[int, Any]:
        """A request that it made up; what root says to it."""
        asked = Asked(id=str(uuid4()), page=page, token=SecretStr(token), **more)
        with self.line() as line:
            line.send(asked.model_dump_json().encode(), body, TIMEOUT_S)
            found = line.receive(TIMEOUT_S)
        assert found is not None
        return decode(Answered, found[0], "lying").status, json.loads(found[1])


@contextmanager
def taken(folder: Path) -> Iterator[tuple[Taken, Agent]]:
    """Root, and a process that was taken."""
    with listener(folder / "socket") as at:
        at.settimeout(TIMEOUT_S)
        at.listen(LINES)
        with serving(FakeHost.with_files({}), folder, beside=str(folder / "socket")) as agent:
            yield Taken(at), agent


@pytest.mark.parametrize(
    ("body", "token", "status", "told"),
    [
        (SYNC, "x" * 43, 401, "Token invalid"),
        (SYNC, "", 401, "Token invalid"),
        (b"", TOKEN, 400, "not JSON"),
        (b"[" * 100_000, TOKEN, 400, "not JSON"),
        (b"[]", TOKEN, 400, "Missing or invalid"),
        (b'{"name": "shell.run", "params": {}}', TOKEN, 404, "Extension with id shell not found"),
        (b'{"name": "standby.run", "params": {}}', TOKEN, 400, "Unknown command"),
        (b'{"name": "standby.sync", "params": "rm"}', TOKEN, 400, "Missing or invalid"),
        (b'{"name": "deploy.execute_deploy_step", "params": {"step": 1}}', TOKEN, 400, "Invalid command"),
    ],
)
def test_what_root_judges(tmp_path: Path, body: bytes, token: str, status: int, told: str) -> None:
    """Whatever a process that was taken makes up: the token, the table and the arguments are root's to judge."""
    with taken(tmp_path) as (process, _):
        found, answer = process.ask(Page.ORDER, body, token)
        listed = process.ask(Page.COMMANDS)

    assert (found, told in answer["faultstring"]) == (status, True)
    assert listed == (200, {"commands": []})


def test_a_step_for_another_node(tmp_path: Path) -> None:
    """It is refused by the record of who we are, as it is without the other process; and nothing was done."""
    wanted = {**node(), "uuid": str(uuid4())}
    step = {"step": {"interface": "deploy", "step": "erase_devices_metadata"}, "node": wanted, "ports": []}
    with taken(tmp_path) as (process, _):
        status, begun = process.ask(Page.ORDER, json.dumps({"name": STEP, "params": step}).encode(), waits=True)

    assert (status, begun["command_status"]) == (200, "FAILED")
    assert "WRONG_NODE" in begun["command_error"]["details"]


def piece(head: bytes, body: bytes = b"") -> bytes:
    """As it is on the line."""
    return struct.pack("!II", len(head), len(body)) + head + body


def head(**changed: object) -> bytes:
    """Of a request for the commands."""
    told = {"id": str(uuid4()), "page": Page.COMMANDS.value, "token": TOKEN, "command_id": "", "waits": False}
    return json.dumps({**told, "is_announced": False, **changed}).encode()


MAD = {
    "nothing": b"",
    "half": piece(head())[:-1],
    "a head too large": struct.pack("!II", HEAD_BYTES + 1, 0),
    "a body too large": struct.pack("!II", 2, LARGEST_BODY_BYTES + 1),
    "no JSON": piece(b"\xff"),
    "no page": piece(head(page="GET /etc/shadow")),
    "no ID": piece(head(id="../../etc")),
    "a field too many": piece(head(run="rm -rf /")),
    "a token too long": piece(head(token="t" * 5000)),
    "a path": piece(head(page=Page.COMMAND.value, command_id="x" * 65)),
}


@pytest.mark.parametrize("said", MAD)
def test_a_process_that_went_mad(tmp_path: Path, said: str) -> None:
    """It is hung up on, without a word; and the next line serves as ever."""
    with taken(tmp_path) as (process, _):
        for _ in range(LINES):  # of those that root has opened already
            with process.line() as line, suppress(LinkError):  # reset, where there was more to read
                process.connected.sendall(MAD[said])
                process.connected.shutdown(socket.SHUT_WR)
                assert line.receive(TIMEOUT_S) is None
        assert process.ask(Page.STATUS)[0] == 200


def test_one_id_for_two_orders(tmp_path: Path) -> None:
    """An order under the ID of another is neither: the first stays what it was."""
    with taken(tmp_path) as (process, _):
        first, order = head(page=Page.ORDER.value), b'{"name": "standby.get_partition_uuids", "params": {}}'
        answers = []
        for body in (order, SYNC, order):
            with process.line() as line:
                line.send(first, body, TIMEOUT_S)
                answers.append(line.receive(TIMEOUT_S))
        listed = process.ask(Page.COMMANDS)[1]["commands"]

    heads = [decode(Answered, answer[0], "lying").status for answer in answers if answer]
    assert heads == [200, 400, 200]
    assert [one["command_name"] for one in listed] == ["get_partition_uuids"]


def test_what_is_lent(tmp_path: Path) -> None:
    """Certificate and key of the API, and nothing of the machine's or of Ironic's."""
    with taken(tmp_path) as (process, _):
        assert process.ask(Page.STATUS)[0] == 200
        for _ in range(LINES):
            if process.opening is None:
                process.line().close()
        assert process.opening is not None and process.opening.serving is not None
        assert TOKEN not in process.opening.model_dump_json()
        assert set(type(process.opening.serving).model_fields) == {"pem", "tls_min_version", "tls_ciphers"}


def test_how_often_it_ended(tmp_path: Path) -> None:
    """It counts, and root tells of it, for as long as it does."""
    with taken(tmp_path) as (process, agent):
        assert process.ask(Page.STATUS, ended=2)[0] == 200
        assert agent.server is not None and agent.server.fault is not None
        assert agent.server.fault.message.startswith("the process that Ironic calls ended 2 times in a row")
        assert process.ask(Page.STATUS)[0] == 200
        assert agent.server.fault is None


@pytest.mark.commands
def test_the_other_process_is_nobody(tmp_path: Path) -> None:
    """The command that systemd starts: root is served by a process without root, which may open no connection and
    listen nowhere, and outlives its death: who calls in the meantime waits."""
    process = Started(tmp_path, HANDED_OVER)
    try:
        running = process.start()
        with serving(FakeHost.with_files({}), tmp_path, beside=str(process.path)) as agent:
            assert agent.listed() == []
            assert user_of(running) == (os.geteuid() or NOBODY)
            process.kill()
            answers: list[list[Any]] = []
            waiting = Thread(target=lambda: answers.append(agent.listed()))
            waiting.start()
            waiting.join(0.5)
            assert waiting.is_alive()
            process.start()
            waiting.join(TIMEOUT_S * 3)
            assert answers == [[]]
    finally:
        process.close()


def test_without_the_other_process() -> None:
    """By hand, in tests, in an older image there is no socket: this process serves, and nothing fails."""
    path = str(Settings().api_socket)

    assert front_of(FakeHost.with_files({}).files, path) is None
    assert front_of(FakeHost.with_files({path: b""}).files, path) == path
