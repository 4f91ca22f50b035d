# SPDX-License-Identifier: Apache-2.0
"""The process: it says when it serves, ends when it is told to, and fails with words when it cannot begin."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

RUN = """
from agent.controller.options import Options
from agent.controller.serve import run
run(Options(**{}))
"""
HANG = """
import time
from agent.controller.background import Work
from agent.controller.context import open_controller
from agent.controller.options import Options
from agent.controller.process import serve
from agent.life.sd_notify import Notifier
serve(open_controller(Options(**{})), (Work("hangs", lambda _: time.sleep(600), 0.1, 1.0),), Notifier())
"""
TIMEOUT_S = 60


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def process(data: Path, port: int, script: str = RUN) -> Iterator[subprocess.Popen[str]]:
    """A controller on that port."""
    options = {"listen": f"127.0.0.1:{port}", "data": str(data)}
    argv = [sys.executable, "-c", script.replace("{}", repr(options))]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_for(running: subprocess.Popen[str], words: str) -> str:
    """Read the log until a line has these words."""
    assert running.stderr is not None
    for line in running.stderr:
        if words in line:
            return line
    raise AssertionError(f"the log ended without {words}")


@pytest.mark.commands
def test_it_serves_and_stops(tmp_path: Path) -> None:
    """Ready when it says so; after SIGTERM it ends by itself, with status 0."""
    port = free_port()
    with process(tmp_path / "data", port) as running:
        wait_for(running, "controller serves")
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S) as answer:
            assert b'"ok"' in answer.read()
        running.send_signal(signal.SIGTERM)
        wait_for(running, "controller stopped")

        assert running.wait(TIMEOUT_S) == 0


@pytest.mark.commands
def test_a_waiting_agent_does_not_hold_it_up(tmp_path: Path) -> None:
    """A connection that is open and says nothing does not keep it from ending."""
    port = free_port()
    with process(tmp_path / "data", port) as running:
        wait_for(running, "controller serves")
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S):
            running.send_signal(signal.SIGTERM)
            assert running.wait(TIMEOUT_S) == 0


@pytest.mark.commands
def test_background_work_that_hangs(tmp_path: Path) -> None:
    """It ends the process, which names it, whatever the work holds: somebody starts it again."""
    with process(tmp_path / "data", free_port(), HANG) as running:
        _, text = running.communicate(timeout=TIMEOUT_S)

    assert running.returncode == 1
    assert re.search(r"WorkStuck: watching the hangs loop: it was silent for [0-9]+ s", text), text


@pytest.mark.commands
def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """An error of the settings, which names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process(tmp_path / "data", port) as running:
            _, text = running.communicate(timeout=TIMEOUT_S)

    assert running.returncode != 0
    assert re.search(rf"ConfigError: listening on 127\.0\.0\.1:{port}: .*in use", text)
