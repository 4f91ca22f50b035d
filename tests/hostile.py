# SPDX-License-Identifier: Apache-2.0
"""An image server on loopback that misbehaves as told: one answer a request from its script, then good ones.

It keeps connections open, as servers do; after an answer from the script, it closes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

PIECE_BYTES = 64 * 1024


class Server(ThreadingHTTPServer):
    """`body` at every path. `asked` keeps each request's Range, `told` its headers, `taken` what was sent by PUT."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, body: bytes, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.body = body
        self.etag = '"first"'
        self.script: list[Answer] = []
        self.asked: list[str | None] = []
        self.told: list[dict[str, str]] = []
        self.taken = b""
        self.connections = 0
        self.over = Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who reads half an answer resets the connection; that is no news."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/image"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """A new connection."""
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        """By script, or as a good server does."""
        self.server.asked.append(self.headers["Range"])
        self.server.told.append(dict(self.headers))
        answer = self.server.script.pop(0) if self.server.script else good
        self.close_connection = answer not in KEEP_OPEN
        answer(self)

    def do_PUT(self) -> None:
        """Takes it, in chunks, or answers by script."""
        self.server.told.append(dict(self.headers))
        taken = bytearray()
        while size := int(self.rfile.readline(), 16):
            taken += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.server.taken = bytes(taken)
        (self.server.script.pop(0) if self.server.script else status(201))(self)

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""

    @property
    def part(self) -> tuple[int, int] | None:
        """First and last byte that are asked for, unless it is all: no range, or If-Range of another file."""
        size = len(self.server.body)
        asked = self.headers["Range"]
        if asked is None or self.headers["If-Range"] not in (None, self.server.etag):
            return None
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last or size - 1), size - 1)

    def begin(self, status: int, **headers: object) -> None:
        """Status and headers; underscores stand for dashes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def begin_body(self) -> bytes:
        """The headers of a good answer; returns the body that should follow."""
        body, part = self.server.body, self.part
        if part is None:
            self.begin(200, Content_Length=len(body), ETag=self.server.etag)
            return body
        first, last = part
        if first > last:
            self.begin(416, Content_Length=0, Content_Range=f"bytes */{len(body)}")
            return b""
        span = f"bytes {first}-{last}/{len(body)}"
        self.begin(206, Content_Length=last + 1 - first, Content_Range=span, ETag=self.server.etag)
        return body[first : last + 1]


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


def part(said: str, length: int) -> Answer:
    """A part of the file, whatever was asked: its Content-Range, and how many bytes follow."""

    def answer(handler: Handler) -> None:
        handler.begin(206, Content_Length=length, Content_Range=said)
        handler.wfile.write(handler.server.body[:length])

    return answer


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


def status(number: int, **headers: object) -> Answer:
    """Nothing but a status, and these headers."""

    def answer(handler: Handler) -> None:
        handler.begin(number, Content_Length=0, **headers)

    return answer


def drip(handler: Handler) -> None:
    """A byte now and then, for as long as anybody listens."""
    for byte in handler.begin_body():
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.over.wait(0.01):
            return


def chunked(handler: Handler) -> None:
    """The body in chunked coding, with no length told."""
    handler.begin(200, Transfer_Encoding="chunked", ETag=handler.server.etag)
    for at in range(0, len(handler.server.body), 1000):
        piece = handler.server.body[at : at + 1000]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def redirect(target: str) -> Answer:
    """Somewhere else."""

    def answer(handler: Handler) -> None:
        handler.begin(302, Content_Length=0, Location=target)

    return answer


def verbatim(begin: bytes, without_end: bytes = b"") -> Answer:
    """These bytes, whatever they are; then others for as long as anybody listens."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(begin)
        while without_end and not handler.server.over.is_set():
            handler.wfile.write(without_end * max(1, PIECE_BYTES // len(without_end)))

    return answer


KEEP_OPEN = (good, chunked)


@contextmanager
def serving(body: bytes, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """A server for as long as the block runs."""
    server = Server(body, host, port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="image-server")
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
