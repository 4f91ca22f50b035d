# SPDX-License-Identifier: Apache-2.0
"""A controller that takes its time: on a terminal it is seen that somebody is waited for, elsewhere nothing is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.cli.test_console import read_until_hung_up

pytestmark = pytest.mark.commands
COMMAND = [sys.executable, "-c", "from agent.bmsctl import main; main()", "flavor", "list"]
SHORT_S, LONG_S = 0.0, 2.0


class Slow(BaseHTTPRequestHandler):
    """One request, answered after the server's time."""

    def do_GET(self) -> None:
        """Nothing is there."""
        time.sleep(getattr(self.server, "seconds"))  # noqa: B009
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def taking(seconds: float) -> Iterator[str]:
    """A controller's URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        setattr(server, "seconds", seconds)  # noqa: B010
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("seconds", "drawn"), [(SHORT_S, False), (LONG_S, True)])
def test_on_a_terminal(seconds: float, drawn: bool) -> None:
    """What takes more than a second says who is waited for, and the answer stands where that was."""
    ours, its = os.openpty()
    with taking(seconds) as url:
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(
            COMMAND, env=environment | {"BMSCTL_URL": url}, stdin=its, stdout=its, stderr=its
        ) as process:
            os.close(its)
            shown = b"".join(read_until_hung_up(ours)).decode()
            assert process.wait(timeout=60) == 0
        os.close(ours)

    assert (f"waiting for {url}" in shown) is drawn
    assert "NAME" in shown.rpartition("waiting for")[2]
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor is there again"


def test_in_a_pipe() -> None:
    """Neither stream has a word of it."""
    with taking(LONG_S) as url:
        environment = {"PATH": os.environ["PATH"], "BMSCTL_URL": url}
        done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=True, timeout=60)

    assert "NAME" in done.stdout and "waiting" not in done.stdout + done.stderr
