# SPDX-License-Identifier: Apache-2.0
"""A URL into a file, for an import: once, hashed on its way; after a break it goes on where it was.

Redirects are followed as the agent does (`agent.model.destination`): never out of TLS, never to a link-local address,
and with credentials only where the URL itself leads. Who is not of the whole cloud gets nothing from this machine, nor
from a private network: what listens there does so for others.
"""

from __future__ import annotations

import hashlib
import io
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from agent.controller.images import LARGEST_BYTES, Announced, room_for
from agent.errors import AccessDenied, AgentError, ImageChanged, ImageTruncated, ImageUnavailable, LinkError
from agent.model.destination import followed, is_here, is_link_local, is_loopback, is_public, literal
from agent.model.image import FETCHES_IMAGES, Access
from agent.model.url import named, origin, without_user

TIMEOUT_S = (10.0, 20.0)
PIECE_BYTES = 1024 * 1024
TRIES = 5
PAUSE_S = 3.0
LENGTH = re.compile(r"[0-9]{1,18}")
MOST_LINES = 1000
"""Without anything between them: no good answer has so many headers, or trailers."""

Networks = tuple[IPv4Network | IPv6Network, ...]
Tell = Callable[[str, int, int | None], None]
"""What is being done, bytes done, bytes in all where known. It may raise: then the work ends."""


@dataclass
class Download:
    """One file on its way."""

    url: str
    access: Access
    announced: Announced
    tell: Tell
    pause_s: float = PAUSE_S
    inside: Networks | None = None
    """where it may be, beside the Internet; None: anywhere, on this machine itself, too"""
    done_bytes: int = 0
    total_bytes: int | None = None
    _validator: str | None = None
    _sha256: Any = field(default_factory=hashlib.sha256)
    _sha512: Any = field(default_factory=hashlib.sha512)

    def to(self, path: Path) -> None:
        """Raises `LinkError`, `ImageError`, `ImageMismatch`, `NoSpace`, and what `tell` raises."""
        doing = f"fetching {named(self.url)}"
        with session(self.access) as http, path.open("wb") as file:
            for left in reversed(range(TRIES)):
                try:
                    self._go_on(http, doing, file)
                    break
                except AgentError as error:
                    if not (error.retryable and left):
                        raise
                    self._pause()
        self.announced.compare(doing, (self._sha256.hexdigest(),), self._sha512)

    def _pause(self) -> None:
        until = time.monotonic() + self.pause_s
        while (left_s := until - time.monotonic()) > 0:
            self.tell("waiting for the image's server", self.done_bytes, self.total_bytes)
            time.sleep(min(left_s, 0.5))

    def _go_on(self, http: requests.Session, doing: str, file: BinaryIO) -> None:
        """From where it is to the end, in one answer."""
        headers = {"Accept-Encoding": "identity", "User-Agent": FETCHES_IMAGES}
        if self.done_bytes:
            headers["Range"] = f"bytes={self.done_bytes}-"
            if self._validator and self._validator.startswith('"'):  # strong ones only (RFC 9110, section 13.1.5)
                headers["If-Range"] = self._validator
        try:
            with self._asked(http, doing, headers) as answer:
                self._begin(doing, answer)
                for piece in answer.iter_content(PIECE_BYTES):
                    self._take(doing, piece, file)
        except RequestException as error:
            raise LinkError(doing, type(error).__name__) from error
        if self.total_bytes is not None and self.done_bytes < self.total_bytes:
            raise ImageTruncated(doing, f"it ended after {self.done_bytes} of {self.total_bytes} bytes")

    def _asked(self, http: requests.Session, doing: str, headers: Mapping[str, str]) -> requests.Response:
        """The answer at the end of the redirects."""

        def ask(url: str, credentials: dict[str, str]) -> tuple[requests.Response, str | None]:
            proxy = self.access.proxy
            guard = http.get_adapter(url)
            assert isinstance(guard, Guarded)
            guard.allowed = self.allowed(url)
            guard.allowed.literally(url)
            proxies = {"http": proxy, "https": proxy} if proxy else requests.utils.get_environ_proxies(url)
            answer = http.get(
                url,
                headers={**headers, **credentials},
                proxies=proxies,
                stream=True,
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
            if not answer.is_redirect:
                return answer, None
            answer.close()
            return answer, answer.headers["Location"]

        return followed(doing, self.url, self.access, ask)[0]

    def allowed(self, url: str) -> Allowed:
        """Where a request for that URL, of a redirect or the first, may come out. What a redirect led to may not be
        this machine itself, unless it was here before. The environment's proxy is its operator's choice, wherever it
        is, and says nothing about who is behind it, but for an address that the URL itself has.
        """
        by_operator = self.access.proxy is None and bool(requests.utils.get_environ_proxies(url))
        home, _, _ = without_user(self.url)
        may_be_here = self.inside is None and (origin(url) == origin(home) or is_here(home))
        return Allowed(self.inside, by_operator or may_be_here, is_proxied=by_operator or self.access.proxy is not None)

    def _begin(self, doing: str, answer: requests.Response) -> None:
        status = answer.status_code
        if status in (401, 403):
            raise AccessDenied(doing, f"the server answered {status}")
        if status >= 500 or status == 429:
            raise LinkError(doing, f"the server answered {status}")
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if self.done_bytes:
            begin = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if status != 206 or validator != self._validator or begin != str(self.done_bytes):
                raise ImageChanged(doing, "it broke off, and the server does not go on with the same file")
            return
        if status != 200:
            raise ImageUnavailable(doing, f"the server answered {status}")
        length = answer.headers.get("Content-Length", "")
        self.total_bytes = int(length) if LENGTH.fullmatch(length) else None
        self._validator = validator

    def _take(self, doing: str, piece: bytes, file: BinaryIO) -> None:
        with room_for(doing):
            file.write(piece)
        self.done_bytes += len(piece)
        for digest in (self._sha256, *([self._sha512] if self.announced.sha512 else [])):
            digest.update(piece)
        if self.done_bytes > min(LARGEST_BYTES, self.total_bytes or LARGEST_BYTES):
            raise ImageUnavailable(doing, f"it has more than {self.done_bytes - len(piece)} bytes")
        self.tell("fetching", self.done_bytes, self.total_bytes)


@contextmanager
def session(access: Access) -> Iterator[requests.Session]:
    """Which trusts whom `access` says, whatever the environment or ~/.netrc says, and connects to nothing that is
    link-local, or, unless that is allowed, is this machine.
    """
    with requests.Session() as http, TemporaryDirectory() as directory:
        http.trust_env = False
        for scheme in ("http://", "https://"):
            http.mount(scheme, Guarded(max_retries=1))  # a kept connection may be closed just when it is used again
        if access.ca_pem:
            authority = Path(directory) / "authority.pem"
            authority.write_text(access.ca_pem, encoding="ascii")
            http.verify = str(authority)
        yield http


@dataclass(frozen=True)
class Allowed:
    """Where connections may lead."""

    inside: Networks | None = None
    may_be_here: bool = True
    is_proxied: bool = False

    def literally(self, url: str) -> None:
        """Raises `ImageUnavailable` where the URL itself has the address, whoever asks it for us."""
        address = literal(urlsplit(url).hostname or "")
        if address and self.is_proxied:
            self.must_be_public(address, url)

    def must_be(self, peer: str, url: str) -> None:
        """Raises `ImageUnavailable`."""
        if is_link_local(peer) or (is_loopback(peer) and not self.may_be_here):
            told = "is link-local, or a metadata service" if is_link_local(peer) else "is this machine itself"
            raise ImageUnavailable(f"fetching {named(url)}", f"its address, {peer}, {told}")
        if not (self.is_proxied and self.may_be_here):
            self.must_be_public(peer, url)

    def must_be_public(self, address: str, url: str) -> None:
        """Raises `ImageUnavailable`."""
        if self.inside is not None and not is_public(address, self.inside):
            raise ImageUnavailable(
                f"fetching {named(url)}",
                f"its address, {address}, is of a private network",
                hint="Ask the cloud's operator, who may import it, or allow that network (--import-from).",
            )


class Lines(io.BufferedReader):
    """A socket's bytes. Neither http.client nor urllib3 ends what is a line for ever: "100 Continue", and trailers."""

    _lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next."""
        self._lines += 1
        if self._lines > MOST_LINES:
            raise HTTPException(f"more than {MOST_LINES} lines")
        return super().readline(size)

    def read(self, size: int | None = -1, /) -> bytes:
        """What is no line; a chunk may say to have less than nothing."""
        self._lines = 0
        if size is not None and size < -1:
            raise HTTPException(f"a piece of {size} bytes")
        return super().read(size)


class Answer(HTTPResponse):
    """One that ends."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = Lines(sock.makefile("rb", buffering=0))


class Guarded(HTTPAdapter):
    """Looks where a name came out before anything is asked there."""

    allowed = Allowed()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Of connections that look."""
        super().init_poolmanager(*args, **kwargs)
        self._looks(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same of those to a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        self._looks(manager)
        return manager

    def _looks(self, manager: PoolManager) -> None:
        guard = self

        def look(connection: HTTPConnection) -> None:
            try:
                guard.allowed.must_be(str(connection.sock.getpeername()[0]), f"http://{connection.host}")
            except ImageUnavailable:
                connection.close()
                raise

        class Plain(HTTPConnection):
            response_class = Answer

            def connect(self) -> None:
                super().connect()
                look(self)

        class Secured(HTTPSConnection):
            response_class = Answer

            def connect(self) -> None:
                super().connect()
                look(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecuredPool(HTTPSConnectionPool):
            ConnectionCls = Secured

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecuredPool}
