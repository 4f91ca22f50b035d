# SPDX-License-Identifier: Apache-2.0
"""The connections below the door to images: what urllib3 is told to do differently.

Bodies go straight into memory of ours; nothing is sent to a link-local address, nor after a redirect to this machine
itself, whatever name led there; the trust anchors are exactly those that were asked for; a server that drips is a
server that is gone.

This is urllib3 without requests around it: that costs three times the CPU a request (measured 0.54 against 0.26 ms,
which counts where every chunk of an image is one), and brings .netrc, cookies and certifi's anchors beside ours.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
import struct
import time
import warnings
from functools import cache
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from agent.errors import ImageUnavailable
from agent.host.answer import SLOW_AFTER_S, SLOWEST_BYTES_PER_S
from agent.model.destination import is_link_local, is_loopback
from agent.model.url import without_user

CHUNK_LINES_BYTES = 64 * 1024
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*[;\r\n]")
MOST_STATUSES, MOST_TRAILERS = 16, 100
"""Of one answer: interim ones, and lines behind its last chunk."""
TIMEVAL = struct.Struct("ll")


class Paced(io.RawIOBase):
    """A socket's bytes; `TimeoutError` once none come, or more slowly than any link brings them. Only waiting counts.

    A plain socket has its time limit in the kernel (socket(7), SO_RCVTIMEO): Python's own costs a poll(2) before each
    recv(2), and a turn more at the interpreter's lock, which is a tenth of what fetching QCOW2 costs.
    """

    def __init__(self, sock: socket.socket, slow_after_s: float = SLOW_AFTER_S) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        limit_s = sock.gettimeout()
        if limit_s and type(sock) is socket.socket:
            timeval = TIMEVAL.pack(int(limit_s), int(limit_s % 1 * 1e6))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            sock.settimeout(None)
        self._slow_after_s = slow_after_s
        self._waited_s = 0.0
        self._came = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """One recv(2)."""
        began_s = time.monotonic()
        count = self._raw.readinto(buffer)
        if count is None:
            raise TimeoutError("timed out")
        self._waited_s += time.monotonic() - began_s
        self._came += count
        if self._waited_s >= self._slow_after_s:
            if self._came < SLOWEST_BYTES_PER_S * self._waited_s:
                raise TimeoutError(f"only {self._came} bytes in {self._waited_s:.0f} s")
            self._waited_s, self._came = 0.0, 0
        return count

    def close(self) -> None:
        """The socket stays with its connection."""
        self._raw.close()
        super().close()


class Answer(HTTPResponse):
    """An answer whose body is taken as it comes, without a copy, and whose length is known after every break."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(Paced(sock))
        self._statuses = 0

    def _read_status(self) -> tuple[str, int, str]:
        """http.client skips "100 Continue" for as long as it comes."""
        self._statuses += 1
        if self._statuses > MOST_STATUSES:
            raise HTTPException(f"got more than {MOST_STATUSES} statuses")
        return super()._read_status()  # type: ignore[misc,no-any-return]  # not in the stubs

    def _read_next_chunk_size(self) -> int:
        """Hexadecimal digits, as RFC 9112 has them (section 7.1): `int` would take "-5"."""
        line = self.fp.readline(CHUNK_LINES_BYTES + 1)
        found = CHUNK_SIZE.match(line) if len(line) <= CHUNK_LINES_BYTES else None
        if found is None and line:
            raise HTTPException("a chunk's size that is none")
        if found is None:
            raise IncompleteRead(b"")
        return int(found[1], 16)

    def _read_and_discard_trailer(self) -> None:
        """http.client discards them for as long as they come."""
        for _ in range(MOST_TRAILERS + 1):
            line = self.fp.readline(CHUNK_LINES_BYTES + 1)
            if line in (b"\r\n", b"\n", b""):
                return
        raise HTTPException(f"got more than {MOST_TRAILERS} trailers")

    def take(self, view: memoryview) -> int:
        """What is there now, at least a byte; 0 at the end, which may be too early. The last byte closes it."""
        if self.isclosed():
            return 0
        if self.chunked:  # copied: a body without a length is rare
            piece = self.read1(min(len(view), CHUNK_LINES_BYTES))
            view[: len(piece)] = piece
            return len(piece)
        count = self.fp.readinto1(view if self.length is None else view[: self.length])
        if self.length is not None:
            self.length -= count
        if not count or self.length == 0:
            self.close()
        return count


class Reached:
    """What every connection of ours does: it looks where it came out, and keeps its answer."""

    answer: Answer
    is_led = False

    def response_class(self, *args: Any, **kwargs: Any) -> Answer:
        """Called by http.client for every answer."""
        self.answer = Answer(*args, **kwargs)
        return self.answer


def answer_of(response: BaseHTTPResponse) -> Answer:
    """The body of an answer that came over a connection of ours."""
    connection = response.connection
    assert isinstance(connection, Reached)
    return connection.answer


class Plain(Reached, HTTPConnection):  # type: ignore[misc]  # http.client has an attribute where we have a method
    """HTTP."""

    def connect(self) -> None:
        """Raises `ImageUnavailable` for a peer that is none, before a byte was sent there."""
        super().connect()
        must_be_elsewhere(self, self.host, is_led=self.is_led)


class Secured(Reached, HTTPSConnection):  # type: ignore[misc]  # as above
    """HTTP over TLS."""

    def connect(self) -> None:
        """As above: no request was sent. Looked at here, where DNS has no say any more."""
        super().connect()
        must_be_elsewhere(self, self.host, is_led=self.is_led)


class LedPlain(Plain):
    """HTTP, to where a redirect led."""

    is_led = True


class LedSecured(Secured):
    """HTTP over TLS, to where a redirect led."""

    is_led = True


class PlainPool(HTTPConnectionPool):
    """Connections to one server."""

    ConnectionCls = Plain


class SecuredPool(HTTPSConnectionPool):
    """Connections to one server."""

    ConnectionCls = Secured


class LedPlainPool(HTTPConnectionPool):
    """Connections to one server."""

    ConnectionCls = LedPlain


class LedSecuredPool(HTTPSConnectionPool):
    """Connections to one server."""

    ConnectionCls = LedSecured


POOLS = {"http": PlainPool, "https": SecuredPool}
LED_POOLS = {"http": LedPlainPool, "https": LedSecuredPool}


def pools(context: ssl.SSLContext | None, proxy: str | None, *, is_led: bool = False) -> PoolManager:
    """Connections to whichever server is asked, kept open; all through one proxy if there is one. `is_led`: a redirect
    led there, from elsewhere than this machine; who goes through a proxy is where the proxy is.

    Without a context, nothing there is reached over TLS.

    Raises `ValueError` or urllib3's errors for a proxy that is none.
    """
    options: dict[str, Any] = {"ssl_context": context, "maxsize": 2, "retries": False}
    if proxy is None:
        made = PoolManager(**options)
    else:
        bare, user, password = without_user(proxy)
        headers = None if user is None else make_headers(proxy_basic_auth=f"{user}:{password}")
        made = ProxyManager(bare, proxy_headers=headers, **options)
    made.pool_classes_by_scheme = LED_POOLS if is_led and proxy is None else POOLS
    return made


@cache
def proxy_of(scheme: str, host: str, port: int) -> str | None:
    """What the environment says: http_proxy, https_proxy, all_proxy, no_proxy."""
    if proxy_bypass(f"{host}:{port}"):
        return None
    told = getproxies()
    found = told.get(scheme) or told.get("all")
    return f"http://{found}" if found and "://" not in found else found


def trust(ca_pem: str | None, *, insecure: bool = False) -> ssl.SSLContext:
    """These anchors and no other, be they roots or not; without any, the system's, or certifi's where it has none.
    `insecure`: whoever answers is trusted.

    Raises `ssl.SSLError` for what is no certificate.
    """
    if insecure:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        warnings.filterwarnings("ignore", "Unverified HTTPS request")  # who chose it was told once
        return context
    if ca_pem is not None:
        context = ssl.create_default_context(cadata=ca_pem)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()  # each is None where it does not exist
    if places.cafile is None and not (places.capath and any(Path(places.capath).iterdir())):
        context.load_verify_locations(certifi.where())
    return context


def must_be_elsewhere(connection: HTTPConnection, host: str, *, is_led: bool) -> None:
    """Metadata services live at link-local addresses; neither images nor proxies do. Whoever redirects us shall not
    reach what listens on this machine for this machine alone.
    """
    peer = str(connection.sock.getpeername()[0])
    if is_link_local(peer) or (is_led and is_loopback(peer)):
        connection.close()
        told = (
            "is link-local, or a metadata service"
            if is_link_local(peer)
            else "is this machine itself, and a redirect led there"
        )
        raise ImageUnavailable(f"connecting to {host}", f"its address, {peer}, {told}")
