# SPDX-License-Identifier: Apache-2.0
"""A URL into a file, for an import: once, hashed on its way; after a break it goes on where it was.

Credentials go to the URL's own host: requests takes the header away when a redirect leads elsewhere.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import RequestException

from agent.controller.images import LARGEST_BYTES, Announced, room_for
from agent.errors import AccessDenied, AgentError, ImageChanged, ImageTruncated, ImageUnavailable, LinkError
from agent.model.image import Access
from agent.model.url import named

TIMEOUT_S = (10.0, 20.0)
PIECE_BYTES = 1024 * 1024
TRIES = 5
PAUSE_S = 3.0

Tell = Callable[[str, int, int | None], None]
"""What is being done, bytes done, bytes in all where known. It may raise: then the work ends."""


class Bearer(AuthBase):
    """A token; without one, nothing: not even what ~/.netrc may say."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Signed."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass
class Download:
    """One file on its way."""

    url: str
    access: Access
    announced: Announced
    tell: Tell
    pause_s: float = PAUSE_S
    done_bytes: int = 0
    total_bytes: int | None = None
    _tag: str | None = None
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
            if self._tag:
                headers["If-Range"] = self._tag
        try:
            with http.get(self.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
                self._begin(doing, answer)
                for piece in answer.iter_content(PIECE_BYTES):
                    self._take(doing, piece, file)
        except RequestException as error:
            raise LinkError(doing, type(error).__name__) from error
        if self.total_bytes is not None and self.done_bytes < self.total_bytes:
            raise ImageTruncated(doing, f"it ended after {self.done_bytes} of {self.total_bytes} bytes")

    def _begin(self, doing: str, answer: requests.Response) -> None:
        status = answer.status_code
        if status in (401, 403):
            raise AccessDenied(doing, f"the server answered {status}")
        if status >= 500 or status == 429:
            raise LinkError(doing, f"the server answered {status}")
        tag = answer.headers.get("ETag")
        if self.done_bytes:
            begin = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if status != 206 or tag != self._tag or begin != str(self.done_bytes):
                raise ImageChanged(doing, "it broke off, and the server does not go on with the same file")
            return
        if status != 200:
            raise ImageUnavailable(doing, f"the server answered {status}")
        length = answer.headers.get("Content-Length", "")
        self.total_bytes = int(length) if length.isdecimal() else None
        self._tag = tag if tag and not tag.startswith("W/") else None

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
    """With these credentials, and trusting whom they say."""
    with requests.Session() as http, TemporaryDirectory() as directory:
        http.auth = Bearer(access.bearer.get_secret_value() if access.bearer else None)
        if access.username is not None:
            password = access.password.get_secret_value() if access.password else ""
            http.auth = HTTPBasicAuth(access.username, password)
        if access.proxy:
            http.proxies = {"http": access.proxy, "https": access.proxy}
        if access.ca_pem:
            authority = Path(directory) / "authority.pem"
            authority.write_text(access.ca_pem, encoding="ascii")
            http.verify = str(authority)
        yield http
