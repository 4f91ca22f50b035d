# SPDX-License-Identifier: Apache-2.0
"""Where Ironic calls is listened at while the agent is killed and started again: systemd's part is played by the test,
with real sockets and processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from agent.life.sd_notify import Notifier, handed_over
from tests.api.ironic.served import TIMEOUT_S, TOKEN, beside

ROOT = Path(__file__).resolve().parents[3]
AGENT = """\
import os, sys
os.environ['LISTEN_PID'] = str(os.getpid())
from pathlib import Path
from threading import Event
from agent.config import Settings
from agent.life.sd_notify import Notifier
from agent.ironic import run
from agent.model.ironic.parameters import Parameters
from agent.api.ironic.record import Record
from tests.api.ironic.served import NODE, identity
from tests.test_ironic import conducted
host = conducted(Path(sys.argv[1]))
record = Record(host.files, '/run/bms-agent/ironic', 'boot-1')
if record.held is None:
    record.open(identity(f'https://127.0.0.1:{sys.argv[2]}'), NODE)
parameters = Parameters(api_urls=('http://127.0.0.1:9',), listen_port=int(sys.argv[2]), listen_host='127.0.0.1')
run(host, Settings(), parameters, Event(), Notifier())
"""


@contextmanager
def started(folder: Path, port: int, held: socket.socket | None, front: str) -> Iterator[int]:
    """The agent as systemd starts it, with what systemd holds, and `front` to serve for it; its process ID. It is
    killed in the end.
    """
    environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "PYTHONPATH": str(ROOT)}
    environment["BMS_AGENT_API_SOCKET"] = front
    actions = []
    if held is not None:
        environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "ironic"}
        actions = [(os.POSIX_SPAWN_DUP2, held.fileno(), 3)]
    argv = [sys.executable, "-c", AGENT, str(folder / "root"), str(port)]
    pid = os.posix_spawn(sys.executable, argv, environment, file_actions=actions)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def given(ear: socket.socket) -> socket.socket:
    """What the agent gives to be held, once it is ready."""
    found = None
    while True:
        message, fds, _, _ = socket.recv_fds(ear, 4096, 4)
        if message.startswith(b"FDSTORE=1\nFDNAME=ironic"):
            found = socket.socket(fileno=fds[0])
        if message.startswith(b"READY=1"):
            assert found is not None
            return found


@pytest.mark.commands
@pytest.mark.parametrize("is_apart", [False, True], ids=["by itself", "by another process"])
def test_who_calls_waits_while_the_agent_is_started_again(tmp_path: Path, is_apart: bool) -> None:
    """It is killed, and an order comes before the next process is there: it is answered, not refused, and done once.
    The next one listens by the same socket, and gives it to be held in its turn.
    """
    with ExitStack() as stack:
        front = stack.enter_context(beside(tmp_path)) if is_apart else str(tmp_path / "none")
        if is_apart:  # its files are below a folder of its own
            (known := tmp_path / f"root{front}").parent.mkdir(parents=True)
            known.touch()
        check_that_it_waits(tmp_path, front)


def check_that_it_waits(tmp_path: Path, front: str) -> None:
    """As above."""
    ca, record = tmp_path / "ca.pem", tmp_path / "root/run/bms-agent/ironic/held.json"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    url = f"https://127.0.0.1:{port}/v1/commands/?agent_token={TOKEN}"
    answers: list[Any] = []

    def call() -> None:
        order = {"name": "clean.get_clean_steps", "params": {}}
        answers.append(requests.post(url, json=order, verify=str(ca), timeout=4 * TIMEOUT_S).json())

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(4 * TIMEOUT_S)
        with started(tmp_path, port, None, front):
            held = given(ear)
        ca.write_text(json.loads(record.read_text())["identity"]["certificate_pem"])
        with held:
            waiting = Thread(target=call)
            waiting.start()
            waiting.join(1.0)
            assert waiting.is_alive() and answers == []
            with started(tmp_path, port, held, front):
                again = given(ear)
                waiting.join(4 * TIMEOUT_S)
                with again:
                    assert again.getsockname() == held.getsockname()
                listed = requests.get(url, verify=str(ca), timeout=4 * TIMEOUT_S).json()["commands"]
    assert [one["command_status"] for one in answers] == ["SUCCEEDED"]
    assert [one["id"] for one in listed] == [one["id"] for one in answers]


def test_what_is_for_another_process_is_not_taken() -> None:
    """A child inherits the environment, and not what it tells of."""
    told = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "ironic"}
    assert handed_over(told, os.getpid()) == {}
    assert handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}, os.getpid()) == {}


def test_let_go(tmp_path: Path) -> None:
    """Who has no more to say lets systemd's socket go, too: whoever calls is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(TIMEOUT_S)
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).let_go("ironic")
        assert ear.recv(4096) == b"FDSTOREREMOVE=1\nFDNAME=ironic"
