# SPDX-License-Identifier: Apache-2.0
"""An image server on loopback that misbehaves as told: one answer a request from its script, then good ones."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

PIECE_BYTES = 64 * 1024


class Server(ThreadingHTTPServer):
    """`body` at every path; `asked` keeps each request's Range."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.etag = '"first"'
        self.script: list[Answer] = []
        self.asked: list[str | None] = []
        self.over = Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/image"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """By script, or as a good server does."""
        self.server.asked.append(self.headers["Range"])
        self.close_connection = True
        answer = self.server.script.pop(0) if self.server.script else good
        answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""

    @property
    def first(self) -> int:
        """Where the asked range begins."""
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def begin(self, status: int, **headers: object) -> None:
        """Status and headers; underscores stand for dashes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def begin_body(self) -> bytes:
        """The headers of a good answer; returns the body that should follow."""
        whole, first = self.server.body, self.first
        if first:
            span = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
            self.begin(206, Content_Length=len(whole) - first, Content_Range=span, ETag=self.server.etag)
        else:
            self.begin(200, Content_Length=len(whole), ETag=self.server.etag)
        return whole[first:]


Answer = Callable[[Handler], None]


def good(handler: Handler) -> None:
    """The body, or the range of it."""
    handler.wfile.write(handler.begin_body())


def without_ranges(handler: Handler) -> None:
    """The whole body, whatever range was asked."""
    handler.begin(200, Content_Length=len(handler.server.body), ETag=handler.server.etag)
    handler.wfile.write(handler.server.body)


def without_length(handler: Handler) -> None:
    """A body that ends with the connection, as HTTP/1.0 does."""
    handler.begin(200)
    handler.wfile.write(handler.server.body)


def another_range(handler: Handler) -> None:
    """The bytes after those that were asked for."""
    handler.begin(206, Content_Length=1, Content_Range=f"bytes {handler.first + 1}-{handler.first + 1}/*")
    handler.wfile.write(b"x")


def encoded(handler: Handler) -> None:
    """Bytes that are not the file's, though nobody asked for it."""
    handler.begin(200, Content_Length=1, Content_Encoding="gzip")
    handler.wfile.write(b"x")


def cut_after(count: int) -> Answer:
    """Ends the connection after so many bytes, in good manners."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_body()[:count])

    return answer


def chunks_cut_after(count: int) -> Answer:
    """The same, in chunked coding, where no length was told."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Transfer_Encoding="chunked")
        handler.wfile.write(f"{count:x}\r\n".encode() + handler.server.body[:count] + b"\r\n")

    return answer


def reset_after(count: int) -> Answer:
    """Resets the connection after so many bytes, as a machine that died does."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_body()[:count])
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    return answer


def stall_after(count: int) -> Answer:
    """Falls silent after so many bytes, until the test is over."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_body()[:count])
        handler.wfile.flush()
        handler.server.over.wait(30)

    return answer


def status(number: int) -> Answer:
    """Nothing but a status."""

    def answer(handler: Handler) -> None:
        handler.begin(number, Content_Length=0)

    return answer


def redirect(target: str) -> Answer:
    """Somewhere else."""

    def answer(handler: Handler) -> None:
        handler.begin(302, Content_Length=0, Location=target)

    return answer


@contextmanager
def serving(body: bytes) -> Iterator[Server]:
    """A server for as long as the block runs."""
    server = Server(body)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="image-server")
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
