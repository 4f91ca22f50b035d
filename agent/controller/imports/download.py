# SPDX-License-Identifier: Apache-2.0
"""A URL into a file, for an import: once, hashed on its way; after a break it goes on where it was.

Redirects are followed as the agent does (`agent.model.destination`): never out of TLS, never to a link-local address,
and with credentials only where the URL itself leads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from agent.controller.images import LARGEST_BYTES, Announced, room_for
from agent.errors import AccessDenied, AgentError, ImageChanged, ImageTruncated, ImageUnavailable, LinkError
from agent.model.destination import followed, is_here, is_link_local, is_loopback
from agent.model.image import Access
from agent.model.url import named, origin, without_user

TIMEOUT_S = (10.0, 20.0)
PIECE_BYTES = 1024 * 1024
TRIES = 5
PAUSE_S = 3.0

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
    may_be_here: bool = True
    """it may be on this machine itself"""
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
        headers = {"Accept-Encoding": "identity"}
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
            guard.may_be_here = self.may_lead_here(url)
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

    def may_lead_here(self, url: str) -> bool:
        """Whether that URL, of a redirect or the first, may be on this machine itself. What a redirect led to may not,
        unless it was here before; the environment's proxy is its operator's choice,
        and says nothing about who is behind it."""
        if self.access.proxy is None and requests.utils.get_environ_proxies(url):
            return True
        home, _, _ = without_user(self.url)
        return self.may_be_here and (origin(url) == origin(home) or is_here(home))

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
        self.total_bytes = int(length) if length.isdecimal() else None
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


class Guarded(HTTPAdapter):
    """Looks where a name came out before anything of the answer is read. What was asked for by then is a GET."""

    may_be_here = True

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Raises `ImageUnavailable`."""
        answer = super().send(request, *args, **kwargs)
        sock = getattr(getattr(answer.raw, "connection", None), "sock", None)
        if sock is None:  # there was no body
            return answer
        try:
            peer = str(sock.getpeername()[0])
        except OSError as error:  # the connection is reset by now
            answer.close()
            raise requests.ConnectionError(error) from error
        if is_link_local(peer) or (is_loopback(peer) and not self.may_be_here):
            answer.close()
            told = "is link-local, or a metadata service" if is_link_local(peer) else "is this machine itself"
            raise ImageUnavailable(f"fetching {named(request.url or '')}", f"its address, {peer}, {told}")
        return answer
