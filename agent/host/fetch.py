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
from http.client import IncompleteRead
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from agent.errors import ImageTruncated, ImageUnavailable, LinkError
from agent.host.doors import Body

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
MOST_REDIRECTS = 5


class RealFetch:
    """`doors.Fetch` by requests."""

    def __init__(self, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._read_timeout_s = read_timeout_s

    @contextmanager
    def __call__(self, url: str, *, offset_bytes: int = 0) -> Iterator[Body]:
        """Raises `LinkError` where another try may help, `ImageUnavailable` where not."""
        with followed(url, offset_bytes, (CONNECT_TIMEOUT_S, self._read_timeout_s)) as response:
            yield RealBody(url, response, begins_at(url, response, offset_bytes))


def followed(url: str, offset: int, timeout_s: tuple[float, float]) -> requests.Response:
    """The answer at the end of the redirects, each asked over a connection of its own."""
    import requests

    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    for _ in range(MOST_REDIRECTS + 1):
        try:
            must_be_allowed(url)
            response = requests.get(url, headers=headers, stream=True, allow_redirects=False, timeout=timeout_s)
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["Location"])
        except ValueError as error:  # requests itself raises it, too, for what a server says of a next address
            raise ImageUnavailable(f"fetching {url}", "it is no URL, or leads to what is none") from error
        except requests.RequestException as error:
            raise LinkError(f"fetching {url}", type(error).__name__) from error
    raise ImageUnavailable(f"fetching {url}", f"more than {MOST_REDIRECTS} redirects")


def must_be_allowed(url: str) -> None:
    """Raises `ImageUnavailable` for another scheme, or a host that is link-local; `ValueError` for what is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImageUnavailable(f"fetching {url}", "only http and https are fetched")
    if any(is_link_local(address) for address in addresses(url, parts.hostname)):
        raise ImageUnavailable(f"fetching {url}", "the address is link-local")


def addresses(url: str, hostname: str) -> set[str]:
    """The addresses of a host; it may be one itself."""
    try:
        return {str(ipaddress.ip_address(unquote(hostname)))}
    except ValueError:
        pass
    try:
        return {str(one[4][0]) for one in socket.getaddrinfo(hostname, None, proto=socket.IPPROTO_TCP)}
    except (OSError, UnicodeError) as error:
        raise LinkError(f"fetching {url}", f"{hostname} is not known here") from error


def is_link_local(text: str) -> bool:
    """169.254/16 and fe80::/10, also when the first is written as IPv6."""
    address = ipaddress.ip_address(text)
    return (getattr(address, "ipv4_mapped", None) or address).is_link_local


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
        """As they come; a body shorter than it was said to be is `ImageTruncated`, not an end."""
        from urllib3.exceptions import HTTPError

        done = 0
        try:
            while piece := self._response.raw.read(size_bytes, decode_content=False):
                done += len(piece)
                yield piece
        except (HTTPError, OSError) as error:
            doing, length = f"fetching {self._url}", self.length_bytes
            if isinstance(error.__cause__, IncompleteRead):  # how urllib3 tells an orderly end that comes too early
                raise ImageTruncated(doing, f"it ended after {done} of {length or 'unknown'} bytes") from error
            raise LinkError(doing, f"the connection broke after {done} bytes") from error
