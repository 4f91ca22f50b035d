# SPDX-License-Identifier: Apache-2.0
"""HTTPS on port 9999: which page is asked for, with which token; whatever comes, the answer is JSON.

Every connection has a thread, limits of time and memory, and one request. Whatever is wrong with that, the answer has a
`faultstring`; the standard library's server is used since it leaves no error to anybody else's words. What is asked is
not judged here: this may be a process that may do nothing else.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import BaseServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from pydantic import SecretStr

from agent.api.ironic.callers import Caller, Callers, Punctual
from agent.api.ironic.refusal import Refusal, bad_request, no_such_page
from agent.host.room import Room
from agent.model.ironic.asked import LARGEST_BODY_BYTES, LONGEST_TOKEN, OPEN, Asked, Page, Serving
from agent.model.ironic.parameters import ciphers_of_1_2
from agent.program.log import Logger

if TYPE_CHECKING:  # the desk is another process'
    from agent.api.ironic.desk import Answers
    from agent.model.fault import Fault

DRAINED_BYTES = 1 << 20
POLL_S = 0.2
HANDSHAKE_S = 5.0
HEAD_S = 15.0
"""For a request's first line and headers, however it drips; and, refused, for what of it is read nevertheless."""
BODY_S, BODY_BYTES_PER_S = 30.0, 64 * 1024
"""More time for a body, once who sends it is known: that is less than a modem's speed, and has an end."""
ANSWER_S = 60.0
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
GO_ON = 100
LONGEST_NUMBER = 18

log = Logger("ironic")


class Shut(Exception):
    """Nobody is to listen any more: whoever opened the socket has shut it, for all who have it."""


class Server(HTTPServer):
    """Serves until it is shut down, or its socket is."""

    def __init__(self, listening: socket.socket, context: ssl.SSLContext, desk: Answers) -> None:
        """The socket is the server's from now on."""
        listening.setblocking(False)  # another process may have taken who called
        self.desk = desk
        self.fault: Fault | None = None
        self._context = context
        self.callers = Callers()
        self.room = Room(LARGEST_BODY_BYTES)
        """For bodies, of all who send one at a time."""
        self._alive: Callable[[], None] = lambda: None
        self._is_shut = False
        address = listening.getsockname()[:2]
        BaseServer.__init__(self, address, BaseHTTPRequestHandler)  # the others' make sockets: it may not
        self.socket, (self.server_name, self.server_port) = listening, address

    def serve(self, alive: Callable[[], None]) -> None:
        """Until it is shut down. It says that it is `alive` several times a second."""
        self._alive = alive
        try:
            self.serve_forever(poll_interval=POLL_S)
        except Shut:
            log.info("nobody is to listen any more")

    def service_actions(self) -> None:
        """Called by `serve_forever`, once a turn."""
        self._alive()
        self.callers.reap()
        if self._is_shut:
            raise Shut

    def get_request(self) -> Any:
        """A connection. A socket that was shut is ready for ever, and gives none (accept(2): EINVAL)."""
        try:
            return super().get_request()
        except OSError as error:
            self._is_shut = self._is_shut or error.errno == errno.EINVAL
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """It has a thread, if it has a place."""
        if (caller := self.callers.admit(request, str(client_address[0]), HANDSHAKE_S)) is None:
            self.shutdown_request(request)
            return
        try:
            Thread(target=self._attend, args=(caller, client_address), name="caller", daemon=True).start()
        except BaseException:
            self.callers.leave(caller)
            raise

    def _attend(self, caller: Caller, address: Any) -> None:
        """In the connection's own thread: who is slow at shaking hands holds nobody else up."""
        connected = caller.sock
        try:
            connected.settimeout(HANDSHAKE_S)
            with self._context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False) as secured:
                if caller.is_now(secured):
                    secured.do_handshake()
                    caller.extend(HEAD_S)
                    Handler(secured, address, self, caller)
        except (OSError, ValueError) as error:
            log.debug("connection lost", peer=caller.peer, error=str(error))
        except Exception as error:  # what no handler foresaw
            log.exception("a fault of ours", peer=caller.peer, error=str(error))
        finally:
            self.callers.leave(caller)
            self.shutdown_request(connected)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What no handler foresaw."""
        log.exception("a fault of ours", peer=str(client_address[0]))


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    path = ""
    server_version = "bms-agent"
    sys_version = ""

    def __init__(self, request: Any, client_address: Any, server: Server, caller: Caller) -> None:
        self._caller = caller
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """What comes is read against the clock."""
        super().setup()
        self.rfile.close()
        self._peer = Punctual(self.connection, HEAD_S)
        self.rfile = io.BufferedReader(self._peer)

    def do_GET(self) -> None:
        """Looking."""
        self._answered(self._got)

    def do_POST(self) -> None:
        """Ordering."""
        self._answered(self._posted)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library finds wrong with a request, in our form."""
        refusal = Refusal(code, f"{code} {message or HTTPStatus(code).phrase}")
        self._say(code, json.dumps(refusal.body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Not as the library does: the query holds the token."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The path alone."""
        log.debug("request", method=self.command, path=self.path.partition("?")[0][:200], status=int(code))

    def _answered(self, route: Callable[[list[str], dict[str, str]], tuple[int, bytes]]) -> None:
        try:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            path = [part for part in parts.path.split("/") if part]
            status, body = route(path[1:] if path[:1] == ["v1"] else path or [""], query)
        except Refusal as refusal:
            status, body = refusal.status, json.dumps(refusal.body).encode()
        except ValueError:
            status, body = 400, json.dumps(bad_request("400 Bad Request: it cannot be read").body).encode()
        if status >= HTTPStatus.BAD_REQUEST:
            self._drain()
        self._say(status, body)

    def _got(self, path: list[str], query: dict[str, str]) -> tuple[int, bytes]:
        match path:
            case [""]:
                page, command_id = Page.ROOT, ""
            case []:
                page, command_id = Page.VERSION, ""
            case ["status"]:
                page, command_id = Page.STATUS, ""
            case ["commands"]:
                page, command_id = Page.COMMANDS, ""
            case ["commands", command_id]:
                page = Page.COMMAND
            case _:
                raise no_such_page()
        return self._told(asked(page, query, command_id))

    def _posted(self, path: list[str], query: dict[str, str]) -> tuple[int, bytes]:
        """Who sends it is judged before it is read."""
        if path != ["commands"]:
            raise no_such_page()
        order = asked(Page.ORDER, query)
        status, told = self._told(order.model_copy(update={"is_announced": True}))
        if status != GO_ON:
            return status, told
        length = self._length()
        if length is None:
            raise Refusal(411, "411 Length Required: a body without Content-Length is not read")
        if length > LARGEST_BODY_BYTES:
            raise Refusal(413, f"413 Content Too Large: {length} bytes; {LARGEST_BODY_BYTES} is the end")
        if not self.server.room.take(length, BODY_S):
            raise Refusal(503, "503 Service Unavailable: other orders are as much as can be read at a time")
        try:
            return self._told(order, self._body(length))
        finally:
            self.server.room.give(length)

    def _told(self, asked: Asked, body: bytes = b"") -> tuple[int, bytes]:
        """By the desk, in its own time. Who is to be listened to is not pushed out any more."""
        self._caller.extend(None)
        status, told = self.server.desk.answered(asked, body)
        self._caller.is_heard = self._caller.is_heard or (status < HTTPStatus.BAD_REQUEST and asked.page not in OPEN)
        return status, told

    def _length(self) -> int | None:
        """What is said of the body's: nothing that is longer than any number that counts."""
        told = self.headers.get("Content-Length", "") if hasattr(self, "headers") else ""
        return int(told) if told.isascii() and told.isdecimal() and len(told) <= LONGEST_NUMBER else None

    def _body(self, length: int) -> bytes:
        time_s = BODY_S + length / BODY_BYTES_PER_S
        self._peer.extend(time_s, length)
        self._caller.extend(time_s)
        data = self.rfile.read(length)
        del self.headers["Content-Length"]
        if len(data) < length:
            raise bad_request("400 Bad Request: the body is not whole")
        return data

    def _drain(self) -> None:
        """What is refused before it was read: a connection that ends with bytes in it takes the answer with it."""
        length = self._length() or 0
        left = length if length <= DRAINED_BYTES else 0
        self._caller.extend(HEAD_S)
        self._peer.extend(HEAD_S, left)
        while left > 0 and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)

    def _say(self, status: int, data: bytes) -> None:
        self.request_version = "HTTP/1.1"  # of a request that is none it is HTTP/0.9, which has no status
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.connection.settimeout(ANSWER_S)
        self._caller.extend(ANSWER_S + len(data) / BODY_BYTES_PER_S)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True


def asked(page: Page, query: dict[str, str], command_id: str = "") -> Asked:
    """As the table has it; what is longer than anything that there is, is cut, and is not there either."""
    return Asked(
        id=str(uuid4()),
        page=page,
        token=SecretStr(query.get("agent_token", "")[:LONGEST_TOKEN]),
        command_id=command_id[:64],
        waits=is_true(query.get("wait")),
    )


def context(serving: Serving) -> ssl.SSLContext:
    """TLS with this certificate and key, no lower than "1.2" or "1.3", and with OpenSSL's list of ciphers for 1.2."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lowest = serving.tls_min_version
    made.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2's: a handshake costs us more than whoever asks for it
    made.minimum_version = ssl.TLSVersion.TLSv1_3 if lowest == "1.3" else ssl.TLSVersion.TLSv1_2
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)  # ssl reads paths alone: no disk has the key
    try:
        os.write(descriptor, serving.pem.get_secret_value().encode())
        made.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    if chosen := ciphers_of_1_2(serving.tls_ciphers):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(chosen)  # failing, it leaves a context with none
            made.set_ciphers(chosen)
        except ssl.SSLError as error:
            log.error("no such ciphers: the library's own are kept", asked=chosen, error=str(error))
    return made


def is_true(text: str | None) -> bool:
    """As OpenStack reads it (oslo_utils.strutils)."""
    return (text or "").strip().lower() in TRUE
