# SPDX-License-Identifier: Apache-2.0
"""What systemd hears."""

from __future__ import annotations

import faulthandler
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.life.sd_notify import Notifier, watchdog_s


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A service manager at this address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(10)
        yield sock


def heard(sock: socket.socket) -> list[str]:
    """The lines of the next message."""
    return sock.recv(4096).decode().split("\n")


def test_life_of_a_service(tmp_path: Path) -> None:
    """Starting asks for more time, ready says so once, a status is one line, stopping is told."""
    path = str(tmp_path / "notify")
    with listening(path) as sock:
        notifier = Notifier({"NOTIFY_SOCKET": path})
        notifier.watchdog()
        assert heard(sock) == ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000"]
        notifier.ready("open\nREADY=0")
        assert heard(sock) == ["READY=1", "STATUS=open READY=0"]
        notifier.watchdog()
        assert heard(sock) == ["WATCHDOG=1"]
        notifier.status("working")
        assert heard(sock) == ["STATUS=working"]
        notifier.stopping()
        assert heard(sock) == ["STOPPING=1"]


def test_abstract_socket() -> None:
    """A socket whose name begins with @ is an abstract one."""
    name = f"bms-agent-test-{os.getpid()}"
    with listening(f"\0{name}") as sock:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert heard(sock) == ["READY=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_nobody_listens(environment: dict[str, str]) -> None:
    """Without systemd, or with one that is gone, nothing happens."""
    Notifier(environment).ready("fine")


def test_kept_alive(tmp_path: Path) -> None:
    """Through a long wait a thread says that we live, more than once; after it, there is silence."""
    path = str(tmp_path / "notify")
    with listening(path) as sock:
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000"})
        with notifier.kept_alive():
            assert heard(sock)[0] == heard(sock)[0] == "WATCHDOG=1"
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                heard(sock)


def test_who_hangs_is_not_kept_alive(tmp_path: Path) -> None:
    """A wait whose turns take longer than they may: systemd hears nothing more of it, and the process is bound to end
    even without systemd. One that says that it lives goes on."""
    path = str(tmp_path / "notify")
    with listening(path) as sock:
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000"})
        try:
            with notifier.kept_alive(0.3) as alive:
                for _ in range(100):
                    heard(sock)
                    alive()
                sock.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    for _ in range(1000):
                        heard(sock)
        finally:
            faulthandler.cancel_dump_traceback_later()


@pytest.mark.commands
def test_a_file_that_is_held(tmp_path: Path) -> None:
    """In memory: given to systemd when it is made, and had back by the next process, with what is in it; sockets beside
    it are none."""
    path = str(tmp_path / "notify")
    with listening(path) as sock, socket.socket() as other:
        fd = Notifier({"NOTIFY_SOCKET": path}).file("lives")
        os.pwrite(fd, b"what it knew", 0)
        said, held, _, _ = socket.recv_fds(sock, 4096, 1)
        assert said == b"FDSTORE=1\nFDNAME=lives"
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
            "os.environ.update(LISTEN_FDS='2', LISTEN_FDNAMES='lives:link', LISTEN_PID=str(os.getpid()));"
            "from agent.life.sd_notify import Notifier; one = Notifier();"
            "print(os.pread(one.file('lives'), 99, 0).decode(), one.taken('link') is not None, one.taken('lives'))"
        )
        argv = [sys.executable, "-c", script, str(held[0]), str(other.fileno())]
        done = subprocess.run(argv, pass_fds=(held[0], other.fileno()), capture_output=True, text=True, check=True)
        os.close(fd)
        os.close(held[0])
    assert done.stdout == "what it knew True None\n"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval(environment: dict[str, str], seconds: float | None) -> None:
    """The watchdog is kept if it watches this very process, and its period is sane."""
    assert watchdog_s(environment, pid=7) == seconds
