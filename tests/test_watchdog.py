# SPDX-License-Identifier: Apache-2.0
"""A loop that hangs, in a real process under a supervisor that does as systemd: it is ended and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.host.files import RealFiles
from agent.job.status import status_in
from agent.life.lives import Folder, Plain, lives_in
from agent.model.fault import Fault
from tests.controller.test_process import free_port
from tests.watched import LIMIT_S

WATCHDOG_S = 5.0
PATIENCE_S = 90.0
pytestmark = pytest.mark.commands


class Supervisor:
    """Starts it, hears it, kills it when it is silent, and starts it again: Restart=always, WatchdogSec."""

    def __init__(self, directory: Path, argv: list[str]) -> None:
        self.argv = argv
        self.ends: list[int] = []
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notes.bind(str(directory / "notify"))
        self.notes.settimeout(0.1)
        self.log = (directory / "log").open("wb")
        about = {"NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
        about["RUNTIME_DIRECTORY"] = str(directory)
        self.environment = {**os.environ, **about}
        self.child = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """A life."""
        self.heard_s, self.is_ready = time.monotonic(), False
        return subprocess.Popen(self.argv, env=self.environment, stdout=self.log, stderr=self.log)

    def turn(self) -> None:
        """Hear, judge, start anew."""
        try:
            said = self.notes.recv(4096)
            self.is_ready |= b"READY=1" in said
            self.heard_s = time.monotonic()
        except TimeoutError:
            pass
        if self.is_ready and time.monotonic() - self.heard_s > WATCHDOG_S:
            self.child.send_signal(signal.SIGABRT)
            self.child.wait(PATIENCE_S)
        if (status := self.child.poll()) is not None:
            self.ends.append(status)
            self.child = self.start()


@contextmanager
def supervised(directory: Path, *argv: str) -> Iterator[Supervisor]:
    """For as long as the block runs."""
    (directory / "proc/sys/kernel/random").mkdir(parents=True)
    (directory / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    supervisor = Supervisor(directory, [sys.executable, *argv])
    try:
        yield supervisor
    finally:
        supervisor.child.kill()
        supervisor.child.wait(PATIENCE_S)
        supervisor.notes.close()
        supervisor.log.close()


def crash_told(files: RealFiles) -> Fault | None:
    """By the process that followed, on its screen."""
    told = status_in(files, "/run")
    return next((one for one in told.faults if one.code == "AGENT.CRASHED"), None) if told else None


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("hangs", 1, "AGENT.STUCK"), ("holds_all_up", -signal.SIGABRT, "AGENT.KILLED")],
)
def test_it_is_ended_and_started_again(tmp_path: Path, how: str, status: int, code: str) -> None:
    """Whatever becomes of a loop, a process without it follows, which says what became of the one before, and goes on
    for as long as nothing is wrong with it. Told to stop, it leaves no word of a crash.
    """
    files = RealFiles(str(tmp_path))
    with supervised(tmp_path, "-m", "tests.watched", str(tmp_path), how) as supervisor:
        ends_s = time.monotonic() + PATIENCE_S
        while (fault := crash_told(files)) is None:
            assert time.monotonic() < ends_s, (tmp_path / "log").read_text()
            supervisor.turn()
        lived_s = time.monotonic() + 1.5 * LIMIT_S
        while time.monotonic() < lived_s:
            supervisor.turn()
        assert supervisor.ends == [status]
        assert "ended once" in fault.message and code in fault.message
        supervisor.child.terminate()
        assert supervisor.child.wait(PATIENCE_S) == 0
    assert lives_in(Folder(files, "/run")).ended == 0


CONTROLLER = """
import ctypes, sys, time
from pathlib import Path
from threading import Event
from agent.controller import process
from agent.controller.background import Work
from agent.controller.options import Options

def hangs(_):
    time.sleep(600)

def holds_all_up(_):
    ctypes.PyDLL(None).sleep(600)

def dies(_):
    raise ValueError("as none foresaw")

def lives(_):
    pass

folder, how, kind, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
ours = globals()[how] if not (folder / "lives.json").exists() else lives
works = process.works_of
process.works_of = lambda options: (*works(options), Work("ours", ours, 0.1, 2.0))
process.run(Options(listen=f"127.0.0.1:{port}", data=folder / "data", imports=kind))
"""
"""A controller, or its importer, with one work more, which ends as it is told in the first life."""


@pytest.mark.parametrize("kind", ["here", "only"])
@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("hangs", 1, "CONTROLLER.STUCK"),
        ("dies", 1, "AGENT.BUG"),
        ("holds_all_up", -signal.SIGABRT, "AGENT.KILLED"),
    ],
)
def test_so_is_a_controller(tmp_path: Path, kind: str, how: str, status: int, code: str) -> None:
    """And its importer: the process that follows says how the one before ended, and serves."""
    log = tmp_path / "log"
    with supervised(tmp_path, "-c", CONTROLLER, str(tmp_path), how, kind, str(free_port())) as supervisor:
        ends_s = time.monotonic() + 4 * PATIENCE_S
        while not (supervisor.ends and supervisor.is_ready):
            assert time.monotonic() < ends_s, log.read_text()
            supervisor.turn()
        assert supervisor.ends == [status]
        supervisor.child.terminate()
        assert supervisor.child.wait(PATIENCE_S) == 0
    assert "CONTROLLER.CRASHED" in log.read_text() and code in log.read_text()
    assert lives_in(Plain(tmp_path)).ended == 0
