# SPDX-License-Identifier: Apache-2.0
"""The web of a fake machine: URLs with bodies, and with faults that a server or a network has.

`machine.web[url] = Page(b"…", breaks_at=[1000])`. Wrong bytes need no fault: give other bytes. What is sent to a URL
becomes its page.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.errors import ImageTruncated, LinkError
from agent.host.answer import Wanted, given, must_be_good
from agent.host.doors import Body
from agent.host.fake.faults import FakeDoor, FaultPlan, counted
from agent.model.destination import authorization, with_its_user
from agent.model.image import OPEN, Access, Trusted
from agent.model.url import named

if TYPE_CHECKING:
    from agent.host.fake.machine import Machine


@dataclass
class Page:
    """One URL. Faults that are used up (`refusals`, `wrong_ranges`, `breaks_at`) happen once each; then all is well.

    refusals       so many connections are refused
    wrong_ranges   so many ranges begin a byte too far
    status         what it answers, when it is not the body
    breaks_at      where in the file connections are reset
    ends_at        where bodies end in good manners, but too early
    fill_s         how long each fill takes
    access         who is let in; `challenge` is what the others are told
    """

    body: bytes
    refusals: int = 0
    wrong_ranges: int = 0
    status: int = 200
    breaks_at: list[int] = field(default_factory=list)
    ends_at: int | None = None
    fill_s: float = 0.0
    tells_length: bool = True
    does_ranges: bool = True
    validator: str | None = None
    access: Access = OPEN
    challenge: str = ""
    opened_at: list[int] = field(default_factory=list)
    accepted: list[str | None] = field(default_factory=list)


class FakeFetch(FakeDoor):
    """`doors.Fetch` from a dictionary."""

    noun = "fetch"
    failure = LinkError

    def __call__(
        self,
        url: str,
        *,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        validator: str | None = None,
        access: Access = OPEN,
        accept: str | None = None,
    ) -> AbstractContextManager[Body]:
        """The body, or a range of it."""
        wanted = Wanted(url, offset_bytes, length_bytes)
        return nullcontext(self.get(url, offset_bytes, wanted, {"validator": validator, "accept": accept}, access))

    @counted
    def get(self, url: str, offset: int, wanted: Wanted, told: dict[str, str | None], access: Access) -> FakeBody:
        """One counted call."""
        page = self._page(wanted.doing, url, access)
        if offset >= len(page.body) and wanted.is_range and page.does_ranges:
            must_be_good(wanted.doing, 416, "Range Not Satisfiable", {"Content-Range": f"bytes */{len(page.body)}"})
        page.opened_at.append(offset)
        page.accepted.append(told["accept"])
        return FakeBody(wanted, page, told["validator"], self.faults, self.machine)

    def trusting(self, ca_pem: str | None, *, insecure: bool = False) -> FakeFetch:
        """No page here asks who is trusted; what was said stands in `machine.trusted`."""
        self.machine.trusted = (ca_pem, insecure)
        return self

    @property
    def trusted(self) -> Trusted:
        """What was said last."""
        ca_pem, insecure = self.machine.trusted or (None, False)
        return Trusted(ca_pem=ca_pem, insecure=insecure)

    def send(self, url: str, pieces: Iterable[bytes | memoryview], *, access: Access = OPEN) -> None:
        """What was sent is kept in `machine.web`."""
        self.put(url, pieces, access)

    @counted
    def put(self, url: str, pieces: Iterable[bytes | memoryview], access: Access) -> None:
        """One counted call. What `pieces` raises leaves nothing."""
        doing = f"sending {named(url)}"
        url, access = with_its_user(doing, url, access)
        page = self._page(doing, url, access) if url in self.machine.web else Page(b"")
        page.body = b"".join(bytes(piece) for piece in pieces)
        self.machine.web[url] = page

    def _page(self, doing: str, url: str, access: Access) -> Page:
        """The page that answers 200."""
        url, access = with_its_user(doing, url, access)
        page = self.machine.web.get(url, Page(b"", status=404))
        if page.refusals:
            page.refusals -= 1
            raise LinkError(doing, "connection refused")
        if authorization(doing, page.access) not in ({}, authorization(doing, access)):
            must_be_good(doing, 401, "Unauthorized", {"WWW-Authenticate": page.challenge})
        must_be_good(doing, page.status, "Not Found" if page.status == 404 else "", {})
        return page


class FakeBody:
    """`doors.Body`; each fill is a counted call."""

    def __init__(self, wanted: Wanted, page: Page, validator: str | None, faults: FaultPlan, machine: Machine) -> None:
        size = len(page.body)
        headers = {} if not page.tells_length else {"Content-Length": str(size)}
        is_another = "If-Range" in wanted.headers(validator) and validator != page.validator
        is_part = wanted.is_range and page.does_ranges and not is_another
        if is_part:
            end = size if wanted.length_bytes is None else min(wanted.offset_bytes + wanted.length_bytes, size)
            first = wanted.offset_bytes + bool(page.wrong_ranges)
            page.wrong_ranges -= bool(page.wrong_ranges)
            headers = {"Content-Range": f"bytes {first}-{end - 1}/{size if page.tells_length else '*'}"}
        its = given(wanted, 206 if is_part else 200, headers)
        self.offset_bytes, self.length_bytes, self.total_bytes = its.offset_bytes, its.length_bytes, its.total_bytes
        self.validator = page.validator
        self.done_bytes = 0
        self._url = named(wanted.url)
        self._page = page
        self._end = size if its.length_bytes is None else its.offset_bytes + its.length_bytes
        self._faults = faults
        self._machine = machine

    def fill(self, view: memoryview) -> int:
        """The bytes, until the view is full, the body at its end, or a fault there."""
        at = self.offset_bytes + self.done_bytes
        return self._faults.through(f"fetch.fill({self._url}, {at})", LinkError, lambda: self._fill(at, view))

    def _fill(self, at: int, view: memoryview) -> int:
        page = self._page
        self._machine.uptime_s += page.fill_s
        end = self._end if page.ends_at is None else min(page.ends_at, self._end)
        stop = min(at + len(view), end, *(each for each in page.breaks_at if each > at))
        count = max(stop - at, 0)
        view[:count] = page.body[at : at + count]
        self.done_bytes += count
        if stop in page.breaks_at and count:
            page.breaks_at.remove(stop)
            raise LinkError(f"fetching {self._url}", f"connection reset after byte {stop}")
        if end < self._end and count < len(view) and self.length_bytes is not None:
            raise ImageTruncated(f"fetching {self._url}", f"{self.done_bytes} of {self.length_bytes} bytes came")
        return count
