# SPDX-License-Identifier: Apache-2.0
"""A controller for tests that answers what it was told to, on loopback, and keeps what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Scripted(ThreadingHTTPServer):
    """Answers are (status, body), given in turn; the last is given for ever."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None, bytes]] = []
        self.versions: list[str | None] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Scripted

    def do_GET(self) -> None:
        """Answer in turn."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        self.server.versions.append(self.headers.get("X-OpenStack-Ironic-API-Version"))
        status, text = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        if status in (301, 307):
            self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[Scripted]:
    """A server for the length of a test."""
    server = Scripted(*answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
