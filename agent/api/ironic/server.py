# SPDX-License-Identifier: Apache-2.0
"""HTTPS on port 9999: routes, token, and an answer in JSON to whatever comes.

Every connection has a thread, a limit of time and one request. Whatever is wrong with that, the answer has a
`faultstring`; the standard library's server is used since it leaves no error to anybody else's words.
"""

from __future__ import annotations

import hmac
import io
import json
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog

from agent import __version__
from agent.api.ironic.commands import Commands
from agent.api.ironic.refusal import Refusal, bad_request, no_such_page, wrong_token
from agent.errors import AgentError
from agent.model.ironic.parameters import ciphers_of_1_2
from agent.model.ironic.wire import CommandResult

LARGEST_BODY_BYTES = 128 << 20
"""A config drive comes three times in one request, 64 MiB at most, and compressed."""
DRAINED_BYTES = 1 << 20
CONNECTIONS = 64
POLL_S = 0.2
HANDSHAKE_S = 5.0
HEAD_S = 15.0
"""For a request's first line and headers, however it drips; and, refused, for what of it is read nevertheless."""
BODY_S, BODY_BYTES_PER_S = 30.0, 64 * 1024
"""More time for a body, once who sends it is known: that is less than a modem's speed, and has an end."""
ANSWER_S = 60.0
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})

log = structlog.get_logger("ironic")


class Punctual(io.RawIOBase):
    """What a peer sends, for as long as its time lasts: a limit of each read alone would let it drip for ever."""

    def __init__(self, sock: socket.socket, time_s: float) -> None:
        self._sock = sock
        self._ends_s = time.monotonic() + time_s

    def extend(self, time_s: float) -> None:
        """So much from now on."""
        self._ends_s = time.monotonic() + time_s

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What is there, at least a byte; 0 at the end. Raises `TimeoutError`."""
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the peer's time is over")
        self._sock.settimeout(left_s)
        return self._sock.recv_into(buffer)


class Server(ThreadingHTTPServer):
    """Serves until it is shut down."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = CONNECTIONS

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        commands: Commands,
        token: str,
        uptime_s: Callable[[], float],
        held: socket.socket | None = None,
    ) -> None:
        """`held`: the socket of an earlier process, on which callers may wait; it counts if it is at this port."""
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.commands = commands
        self.token = token.encode()
        self.uptime_s = uptime_s
        self._context = context
        self._free = BoundedSemaphore(CONNECTIONS)
        self._alive: Callable[[], None] = lambda: None
        if held is not None and held.getsockname()[1] != address[1]:
            held.close()
            held = None
        super().__init__(address, Handler, bind_and_activate=held is None)
        if held is not None:
            self.socket.close()
            self.socket, self.server_address = held, held.getsockname()

    def serve(self, alive: Callable[[], None]) -> None:
        """Until it is shut down. It says that it is `alive` several times a second."""
        self._alive = alive
        self.serve_forever(poll_interval=POLL_S)

    def service_actions(self) -> None:
        """Called by `serve_forever`, once a turn."""
        self._alive()

    def server_bind(self) -> None:
        """Both families, where the kernel has both."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's asks the name service who we are, and waits for it
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: who is slow at shaking hands holds nobody else up."""
        if not self._free.acquire(timeout=HANDSHAKE_S):
            log.warning("a connection too many", peer=str(client_address[0]))
            return
        try:
            request.settimeout(HANDSHAKE_S)
            with self._context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except (OSError, ValueError) as error:
            log.debug("connection lost", peer=str(client_address[0]), error=str(error))
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What no handler foresaw."""
        log.exception("a fault of ours", peer=str(client_address[0]))


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    path = ""
    server_version = "bms-agent"
    sys_version = ""

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
        self._say(code, Refusal(code, f"{code} {message or HTTPStatus(code).phrase}").body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not as the library does: the query holds the token."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The path alone."""
        log.debug("request", method=self.command, path=self.path.partition("?")[0][:200], status=int(code))

    def _answered(self, route: Callable[[list[str], dict[str, str]], object]) -> None:
        try:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            path = [part for part in parts.path.split("/") if part]
            status, body = 200, route(path[1:] if path[:1] == ["v1"] else path or [""], query)
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
            self._drain()
        except AgentError as error:
            status, body = 500, Refusal(500, str(error)).body
        except ValueError:
            status, body = 400, bad_request("400 Bad Request: it cannot be read").body
        self._say(status, body)

    def _got(self, path: list[str], query: dict[str, str]) -> object:
        match path:
            case [""]:
                return root()
            case []:
                return version()
            case ["status"]:
                return {"started_at": self.server.uptime_s(), "version": __version__}
            case ["commands"]:
                self._must_be_ironic(query)
                return {"commands": [shown(one) for one in self.server.commands.listed()]}
            case ["commands", command_id]:
                self._must_be_ironic(query)
                return shown(self.server.commands.found(command_id, wait=is_true(query.get("wait"))))
        raise no_such_page()

    def _posted(self, path: list[str], query: dict[str, str]) -> object:
        if path != ["commands"]:
            raise no_such_page()
        self._must_be_ironic(query)
        body = self._body()
        if not isinstance(body, dict):
            raise bad_request("400 Bad Request: Missing or invalid name or params")
        return shown(self.server.commands.order(body.get("name"), body.get("params"), wait=is_true(query.get("wait"))))

    def _must_be_ironic(self, query: dict[str, str]) -> None:
        if not hmac.compare_digest(query.get("agent_token", "").encode(), self.server.token):
            raise wrong_token()

    def _body(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdecimal():
            raise Refusal(411, "411 Length Required: a body without Content-Length is not read")
        if int(length) > LARGEST_BODY_BYTES:
            raise Refusal(413, f"413 Content Too Large: {length} bytes; {LARGEST_BODY_BYTES} is the end")
        self._peer.extend(BODY_S + int(length) / BODY_BYTES_PER_S)
        data = self.rfile.read(int(length))
        del self.headers["Content-Length"]
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise bad_request("400 Bad Request: the body is not JSON") from None

    def _drain(self) -> None:
        """What is refused before it was read: a connection that ends with bytes in it takes the answer with it."""
        length = self.headers.get("Content-Length", "") if hasattr(self, "headers") else ""
        left = int(length) if length.isascii() and length.isdecimal() and int(length) <= DRAINED_BYTES else 0
        while left > 0 and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)

    def _say(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.request_version = "HTTP/1.1"  # of a request that is none it is HTTP/0.9, which has no status
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.connection.settimeout(ANSWER_S)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True


def context(pem_path: str, lowest: str | None, ciphers: str | None = None) -> ssl.SSLContext:
    """TLS with the certificate and key in this file; `lowest` is "1.2" or "1.3", `ciphers` OpenSSL's list for 1.2."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3 if lowest == "1.3" else ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(pem_path)
    if chosen := ciphers_of_1_2(ciphers):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(chosen)  # failing, it leaves a context with none
            made.set_ciphers(chosen)
        except ssl.SSLError as error:
            log.error("no such ciphers: the library's own are kept", asked=chosen, error=str(error))
    return made


def is_true(text: str | None) -> bool:
    """As OpenStack reads it (oslo_utils.strutils)."""
    return (text or "").strip().lower() in TRUE


def shown(result: CommandResult) -> dict[str, Any]:
    """Five keys, in this order."""
    return result.model_dump(mode="json")


def root() -> dict[str, Any]:
    """`GET /`."""
    v1 = {"id": "v1", "links": [{"href": "/v1/", "rel": "self"}]}
    return {
        "name": "OpenStack Ironic Python Agent API",
        "description": "bms-agent in its place: commands of a bare metal provisioning service to the node's ramdisk",
        "versions": [v1],
        "default_version": v1,
    }


def version() -> dict[str, Any]:
    """`GET /v1/`."""
    return {
        "commands": [{"href": "/v1/commands/", "rel": "self"}],
        "status": [{"href": "/v1/status", "rel": "self"}],
        "media_types": [{"base": "application/json", "type": "application/vnd.openstack.ironic-python-agent.v1+json"}],
        "id": "v1",
        "links": [{"href": "/v1/", "rel": "self"}],
    }
