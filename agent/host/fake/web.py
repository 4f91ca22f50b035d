# SPDX-License-Identifier: Apache-2.0
"""The web of a fake machine: URLs with bodies, and with faults that a server or a network has.

`machine.web[url] = Page(b"…", breaks_at=[1000])`. Wrong bytes need no fault: give other bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from agent.errors import ImageTruncated, ImageUnavailable, LinkError
from agent.host.doors import Body
from agent.host.fake.faults import FakeDoor, FaultPlan, counted


@dataclass
class Page:
    """One URL. Faults that are used up (`refusals`, `breaks_at`) happen once each: a retry comes through."""

    body: bytes
    refusals: int = 0
    breaks_at: list[int] = field(default_factory=list)
    ends_at: int | None = None
    tells_length: bool = True
    does_ranges: bool = True
    validator: str | None = None
    opened_at: list[int] = field(default_factory=list)


class FakeFetch(FakeDoor):
    """`doors.Fetch` from a dictionary."""

    noun = "fetch"
    failure = LinkError

    def __call__(self, url: str, *, offset_bytes: int = 0) -> AbstractContextManager[Body]:
        """The body from an offset on."""
        return nullcontext(self.get(url, offset_bytes))

    @counted
    def get(self, url: str, offset: int) -> FakeBody:
        """One counted call."""
        page = self.machine.web.get(url)
        if page is None:
            raise ImageUnavailable(f"fetching {url}", "the server answered 404 Not Found")
        if page.refusals:
            page.refusals -= 1
            raise LinkError(f"fetching {url}", "connection refused")
        if offset > len(page.body):
            raise LinkError(f"fetching {url} from byte {offset}", "416 Range Not Satisfiable")
        page.opened_at.append(offset)
        return FakeBody(url, page, offset if page.does_ranges else 0, self.faults)


class FakeBody:
    """`doors.Body`; each chunk is a counted call."""

    def __init__(self, url: str, page: Page, offset: int, faults: FaultPlan) -> None:
        self._url = url
        self._page = page
        self._offset = offset
        self._faults = faults
        self.offset_bytes = offset
        self.validator = page.validator

    @property
    def length_bytes(self) -> int | None:
        """What the server says the rest's length is."""
        return len(self._page.body) - self._offset if self._page.tells_length else None

    def chunks(self, size_bytes: int) -> Iterator[bytes]:
        """The bytes, until the end or the next fault."""
        end = len(self._page.body) if self._page.ends_at is None else self._page.ends_at
        at = self._offset
        while at < end:
            stop = min(at + size_bytes, end, *(each for each in self._page.breaks_at if each > at))
            yield self._faults.through(f"fetch.chunk({self._url}, {at})", LinkError, lambda: self._page.body[at:stop])  # noqa: B023 -- called at once
            at = stop
            if at in self._page.breaks_at:
                self._page.breaks_at.remove(at)
                raise LinkError(f"fetching {self._url}", f"connection reset after byte {at}")
        if end < len(self._page.body) and self._page.tells_length:
            raise ImageTruncated(f"fetching {self._url}", f"{end} of {len(self._page.body)} bytes came")
