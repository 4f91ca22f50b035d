# SPDX-License-Identifier: Apache-2.0
"""The process: it says when it serves, ends when it is told to, and fails with words when it cannot begin."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import pytest
from starlette.concurrency import run_in_threadpool

from agent.controller.background import WorkStuck
from agent.controller.process import ANSWER_S, ASK_S, Server
from agent.life.watch import Watch
from tests.controller.world import World

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


@dataclass
class Still:
    """Time that stands still until it is moved."""

    now_s: float = 0.0

    def monotonic_s(self) -> float:
        """The time."""
        return self.now_s

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Nobody does."""
        return stop.is_set()


async def turned(server: Server, time: Still, seconds: float) -> None:
    """The server turns, and time passes; what it asked for meanwhile is done."""
    await server.on_tick(1)
    await asyncio.sleep(0.2)
    time.now_s += seconds


async def told_of_threads(server: Server, time: Still, watch: Watch, busy: int) -> list[str]:
    """Who is silent after a long time in which so many threads had something to do that has no end."""
    over = Event()
    held = [asyncio.create_task(run_in_threadpool(over.wait)) for _ in range(busy)]
    await asyncio.sleep(0.2)
    await turned(server, time, ASK_S + ANSWER_S + 1)
    await turned(server, time, 0)
    told = [str(one) for one in watch.silent()]
    over.set()
    await asyncio.gather(*held)
    return told


@pytest.mark.parametrize(("busy", "is_stuck"), [(1000, True), (20, False)])
def test_threads_that_answer_nobody(world: World, busy: int, *, is_stuck: bool) -> None:
    """A server that turns and has no thread left to answer with, and gets none, is as stuck as one that does not turn;
    while one is free it is not."""
    time = Still()
    watch = Watch(time, WorkStuck)
    told = asyncio.run(told_of_threads(Server(world.controller, watch), time, watch, busy))

    assert [one.partition(":")[0] for one in told] == (["watching the threads that answer"] if is_stuck else [])
