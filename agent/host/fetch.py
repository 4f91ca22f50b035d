# SPDX-License-Identifier: Apache-2.0
"""The door to images: HTTP GET, from an offset on, exactly the bytes that the server holds.

One attempt each; going on after a break is the business of who reads (`agent.apply.source`). A server is on the
provisioning network, but its redirects are not trusted: never to link-local addresses, where metadata services live.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from agent.errors import ImageTruncated, ImageUnavailable, LinkError
from agent.host.doors import Body

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
MOST_REDIRECTS = 5


class RealFetch:
    """`doors.Fetch` by requests."""

    @contextmanager
    def __call__(self, url: str, *, offset_bytes: int = 0) -> Iterator[Body]:
        """Raises `LinkError` where another try may help, `ImageUnavailable` where not."""
        import requests

        with requests.Session() as session:
            response = followed(session, url, offset_bytes)
            with response:
                yield RealBody(url, response, begins_at(url, response, offset_bytes))


def followed(session: requests.Session, url: str, offset: int) -> requests.Response:
    """The answer at the end of the redirects."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    for _ in range(MOST_REDIRECTS + 1):
        must_be_allowed(url)
        try:
            response = session.get(
                url, headers=headers, stream=True, allow_redirects=False, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
            )
        except requests.RequestException as error:
            raise LinkError(f"fetching {url}", type(error).__name__) from error
        if not response.is_redirect:
            return response
        url = urljoin(url, response.headers["Location"])
    raise ImageUnavailable(f"fetching {url}", f"more than {MOST_REDIRECTS} redirects")


def must_be_allowed(url: str) -> None:
    """Raises `ImageUnavailable` for another scheme, or a host that is link-local."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImageUnavailable(f"fetching {url}", "only http and https are fetched")
    try:
        found = socket.getaddrinfo(parts.hostname, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise LinkError(f"fetching {url}", f"{parts.hostname} is not known here") from error
    if any(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_link_local for one in found):
        raise ImageUnavailable(f"fetching {url}", "the address is link-local")


def begins_at(url: str, response: requests.Response, offset: int) -> int:
    """Where in the file the body begins: at 0 if the server does not do ranges. Raises for every other status."""
    doing = f"fetching {url}" + (f" from byte {offset}" if offset else "")
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise LinkError(doing, f"the server answered {status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ImageUnavailable(doing, f"the server encodes it as {response.headers['Content-Encoding']}")
    if status == 200:
        return 0
    if status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        return offset
    raise ImageUnavailable(doing, f"the server answered {status} {response.reason}")


class RealBody:
    """`doors.Body` of one answer."""

    def __init__(self, url: str, response: requests.Response, offset: int) -> None:
        self._url = url
        self._response = response
        self.offset_bytes = offset
        self.validator = response.headers.get("ETag") or response.headers.get("Last-Modified")

    @property
    def length_bytes(self) -> int | None:
        """Content-Length."""
        told = self._response.headers.get("Content-Length", "")
        return int(told) if told.isdecimal() else None

    def chunks(self, size_bytes: int) -> Iterator[bytes]:
        """As they come; a body shorter than its Content-Length is `ImageTruncated`, not an end."""
        from urllib3.exceptions import HTTPError

        done = 0
        try:
            while piece := self._response.raw.read(size_bytes, decode_content=False):
                done += len(piece)
                yield piece
        except (HTTPError, OSError) as error:
            raise LinkError(f"fetching {self._url}", f"the connection broke after {done} bytes") from error
        if self.length_bytes is not None and done != self.length_bytes:
            raise ImageTruncated(f"fetching {self._url}", f"{done} of {self.length_bytes} bytes came")
