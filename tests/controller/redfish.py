# SPDX-License-Identifier: Apache-2.0
"""A BMC for tests: Redfish on loopback, which answers what it was told to and keeps what it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class FakeRedfish(ThreadingHTTPServer):
    """Answers are (status, body), given in turn; the last is given for ever."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, object]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str | None, object]] = []

    @property
    def address(self) -> str:
        """The URL of its system."""
        return f"http://127.0.0.1:{self.server_address[1]}/redfish/v1/Systems/1"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: FakeRedfish

    def do_GET(self) -> None:
        """Read."""
        self.reply()

    def do_POST(self) -> None:
        """Act."""
        self.reply()

    def do_PATCH(self) -> None:
        """Change."""
        self.reply()

    def reply(self) -> None:
        """Keep the question, give the next answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = (self.command, self.path, self.headers.get("Authorization"), json.loads(body) if body else None)
        self.server.asked.append(asked)
        status, answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def redfish(*answers: tuple[int, object]) -> Iterator[FakeRedfish]:
    """A BMC that gives these answers."""
    server = FakeRedfish(*answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
