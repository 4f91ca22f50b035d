# SPDX-License-Identifier: Apache-2.0
"""The door to images: HTTP, byte for byte what the server holds, straight into memory of the caller's.

One attempt each; going on after a break is the business of who reads (`agent.apply.source`). Every thread has its own
connections, which stay open between requests. Where requests may go is in `agent.model.destination`, what answers mean
in `agent.host.answer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from ssl import SSLContext, SSLError
from threading import Lock, local
from typing import TYPE_CHECKING

from agent.errors import ImageTruncated, ImageUnavailable, LinkError
from agent.host.answer import Wanted, cause_of, given, must_be_good, number, ours
from agent.host.doors import Body
from agent.model.destination import authorization, followed, is_here, must_be_allowed, with_its_user
from agent.model.image import FETCHES_IMAGES, OPEN, Access, Trusted
from agent.model.url import named, origin

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 300.0
"""For one piece, and for the answer: a server that stores a large image may be silent for minutes."""
SMALL_BYTES = 16 * 1024
"""A body that nobody wants is read to its end up to here, so that its connection stays of use."""


class RealFetch:
    """`doors.Fetch` by urllib3."""

    def __init__(
        self, read_timeout_s: float = READ_TIMEOUT_S, ca_pem: str | None = None, *, insecure: bool = False
    ) -> None:
        """`ca_pem`, `insecure`: see `trusting`."""
        self._read_timeout_s = read_timeout_s
        self._ca_pem = ca_pem
        self._insecure = insecure
        self._lock = Lock()
        self._trust: dict[str | None, SSLContext] = {}
        self._of_this_thread = local()

    def trusting(self, ca_pem: str | None, *, insecure: bool = False) -> RealFetch:
        """Connections of its own."""
        return RealFetch(self._read_timeout_s, ca_pem, insecure=insecure)

    @property
    def trusted(self) -> Trusted:
        """By all without an authority of its own."""
        return Trusted(ca_pem=self._ca_pem, insecure=self._insecure)

    @contextmanager
    def __call__(
        self,
        url: str,
        *,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        validator: str | None = None,
        access: Access = OPEN,
        accept: str | None = None,
    ) -> Iterator[Body]:
        """Raises `LinkError` where another try may help, `ImageUnavailable` where not."""
        wanted = Wanted(url, offset_bytes, length_bytes)
        headers = {**wanted.headers(validator), **({"Accept": accept} if accept else {})}
        response = self._followed(wanted.doing, url, headers, access)
        try:
            must_be_good(wanted.doing, response.status, response.reason or "", response.headers)
            body = RealBody(wanted, response)
        except BaseException:
            let_go(response)
            raise
        with closing(body):
            yield body

    def send(self, url: str, pieces: Iterable[bytes | memoryview], *, access: Access = OPEN) -> None:
        """A redirect is refused: what was sent is gone, and cannot be sent again."""
        doing = f"sending {named(url)}"
        url, access = with_its_user(doing, url, access)
        must_be_allowed(doing, url)
        response = self._asked(doing, "PUT", url, authorization(doing, access), access, iter(pieces))
        try:
            must_be_good(doing, response.status, response.reason or "", response.headers)
        finally:
            let_go(response)

    def _followed(self, doing: str, url: str, headers: Mapping[str, str], access: Access) -> BaseHTTPResponse:
        """The answer at the end of the redirects."""
        bare, _ = with_its_user(doing, url, access)
        home, is_own = origin(bare), is_here(bare)

        def ask(url: str, credentials: dict[str, str]) -> tuple[BaseHTTPResponse, str | None]:
            is_led = origin(url) != home and not is_own
            response = self._got(doing, url, {**headers, **credentials}, access, is_led=is_led)
            location = response.get_redirect_location() or None
            if location:
                let_go(response)
            return response, location

        response, is_home = followed(doing, url, access, ask)
        if not is_home:  # whoever we were led to may refuse us, but not name who gets the credentials
            response.headers.discard("WWW-Authenticate")
        return response

    def _got(
        self, doing: str, url: str, headers: Mapping[str, str], access: Access, *, is_led: bool
    ) -> BaseHTTPResponse:
        """A server may close a kept connection just when it is used again: then a new one is (RFC 9110, 9.2.2)."""
        try:
            return self._asked(doing, "GET", url, headers, access, is_led=is_led)
        except LinkError as error:
            if not isinstance(error.__cause__, RemoteDisconnected | ConnectionResetError | BrokenPipeError):
                raise
        return self._asked(doing, "GET", url, headers, access, is_led=is_led)

    def _asked(
        self,
        doing: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        access: Access,
        pieces: Iterator[bytes | memoryview] | None = None,
        *,
        is_led: bool = False,
    ) -> BaseHTTPResponse:
        """One request, one answer."""
        from urllib3.exceptions import HTTPError, LocationValueError
        from urllib3.util import Timeout

        pools = self._pools(doing, url, access, is_led=is_led)
        try:
            return pools.urlopen(
                method,
                url,
                headers={"User-Agent": FETCHES_IMAGES, **headers},
                body=pieces,
                chunked=pieces is not None,
                redirect=False,
                preload_content=False,
                decode_content=False,
                # urllib3 sends under connecting's limit, for all of a piece (connectionpool.py, _make_request)
                timeout=Timeout(connect=SEND_TIMEOUT_S, read=SEND_TIMEOUT_S)
                if pieces is not None
                else Timeout(connect=CONNECT_TIMEOUT_S, read=self._read_timeout_s),
            )
        except (LocationValueError, UnicodeError):
            raise ImageUnavailable(doing, "it is no URL, or leads to what is none") from None  # it may hold a secret
        except (OSError, HTTPError) as error:
            cause = cause_of(error)
            raise ours(doing, cause) from cause

    def _pools(self, doing: str, url: str, access: Access, *, is_led: bool) -> PoolManager:
        """This thread's own, which end with the thread."""
        from urllib3.exceptions import HTTPError

        from agent.host.connections import pools, proxy_of

        proxy = access.proxy or proxy_of(*origin(url))
        is_secure = access.ca_pem is not None or "https" in {origin(url)[0], (proxy or "").partition(":")[0].lower()}
        mine: dict[tuple[str | None, str | None, bool, bool], PoolManager]
        mine = vars(self._of_this_thread).setdefault("pools", {})
        if found := mine.get((access.ca_pem, proxy, is_secure, is_led)):
            return found
        try:
            context = self._context(access.ca_pem) if is_secure else None
            made = mine[access.ca_pem, proxy, is_secure, is_led] = pools(context, proxy, is_led=is_led)
        except SSLError as error:
            raise ImageUnavailable(doing, "its ca_pem holds no certificate") from error
        except (HTTPError, ValueError):
            raise ImageUnavailable(doing, "its proxy is no http:// or https:// URL") from None  # it may hold a password
        return made

    def _context(self, ca_pem: str | None) -> SSLContext:
        """What TLS trusts, made once for all threads, and only where there is TLS: the system's anchors take 80 ms."""
        from agent.host.connections import trust

        with self._lock:
            context = self._trust.get(ca_pem)
            if context is None:
                insecure = self._insecure and ca_pem is None
                context = self._trust[ca_pem] = trust(ca_pem or self._ca_pem, insecure=insecure)
        return context


class RealBody:
    """`doors.Body` of one answer."""

    def __init__(self, wanted: Wanted, response: BaseHTTPResponse) -> None:
        from agent.host.connections import answer_of

        its = given(wanted, response.status, response.headers)
        self.offset_bytes, self.length_bytes, self.total_bytes = its.offset_bytes, its.length_bytes, its.total_bytes
        self.validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        self.done_bytes = 0
        self._doing = wanted.doing
        self._response = response
        self._answer = answer_of(response)
        if self.length_bytes == 0:
            self._answer.close()

    def fill(self, view: memoryview) -> int:
        """The whole view, or less only at the end."""
        want = len(view) if self.length_bytes is None else min(len(view), self.length_bytes - self.done_bytes)
        got = 0
        try:
            while got < want and (count := self._answer.take(view[got:want])):
                got += count
                self.done_bytes += count
        except IncompleteRead as error:
            raise ImageTruncated(
                self._doing, f"the body ended within a chunk, after {self.done_bytes} bytes"
            ) from error
        except (OSError, HTTPException) as error:
            raise ours(f"{self._doing} (after {self.done_bytes} bytes)", error) from error
        if got < want and self.length_bytes is not None:
            raise ImageTruncated(self._doing, f"{self.done_bytes} of {self.length_bytes} bytes came")
        return got

    def close(self) -> None:
        """The connection is of use to the next request only if nothing is left on it."""
        if not self._answer.isclosed():
            self._response.close()
        self._response.release_conn()


def let_go(response: BaseHTTPResponse) -> None:
    """Nobody wants this body. One in chunks ends where the server likes, whatever length it told."""
    length = number(response.headers.get("Content-Length"))
    if length is not None and length <= SMALL_BYTES and "Transfer-Encoding" not in response.headers:
        response.drain_conn()
    else:
        response.close()
    response.release_conn()
