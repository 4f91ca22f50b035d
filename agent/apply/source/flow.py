# SPDX-License-Identifier: Apache-2.0
"""One answer of one server as it comes: timed, counted, and let in anew where credentials ran out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from agent.apply.meter import Meter, Stage
from agent.apply.source.mirrors import Mirror
from agent.errors import AccessDenied, ImageOverrun, ImageTruncated, LinkError
from agent.host.answer import SLOW_AFTER_S, SLOWEST_BYTES_PER_S
from agent.host.doors import Body, Host

SKIP_BYTES = 256 * 1024


class Flow:
    """`at` is the byte of the file that comes next; it is right after every error, too. `waited_s` is what was spent on
    waiting for it so far.
    """

    def __init__(self, host: Host, meter: Meter, mirror: Mirror, offset_bytes: int) -> None:
        self._host = host
        self._meter = meter
        self._opened = ExitStack()
        self._body: Body | None = None
        self.waited_s = 0.0
        self._came = 0
        self._wrongs = mirror.wrongs
        self.mirror = mirror
        self.began_at = self.at = offset_bytes

    @property
    def is_open(self) -> bool:
        """There is an answer."""
        return self._body is not None

    @property
    def is_doubted(self) -> bool:
        """The server was found to give what is wrong since this was begun."""
        return self.mirror.wrongs > self._wrongs

    @property
    def is_slow(self) -> bool:
        """It dripped: so a break is no accident."""
        return self.waited_s >= SLOW_AFTER_S and self._came < SLOWEST_BYTES_PER_S * self.waited_s

    def open(self, length_bytes: int | None) -> Body:
        """Ask for it. Raises as the door does, and `ImageChanged`."""
        mirror, access = self.mirror, self.mirror.access
        with self._waiting():
            try:
                body = self._opened.enter_context(mirror.ask(self._host.fetch, self.at, length_bytes))
            except AccessDenied as denied:
                mirror.let_in_anew(access, denied)
                body = self._opened.enter_context(mirror.ask(self._host.fetch, self.at, length_bytes))
        mirror.must_be_the_same(body)
        self._body = body
        return body

    def fill(self, view: memoryview) -> int:
        """As the body does."""
        assert self._body is not None
        before = self._body.done_bytes
        with self._waiting():
            try:
                return self._body.fill(view)
            finally:
                self.at += self._body.done_bytes - before
                self._count(self._body.done_bytes - before)

    def must_be_over(self) -> None:
        """All is there: raises `ImageOverrun` if the body goes on. One that told its length cannot."""
        if self._body is None or self._body.length_bytes is not None:
            return
        with suppress(LinkError, ImageTruncated):
            if self._body.fill(memoryview(bytearray(1))):
                raise ImageOverrun(self.mirror.doing, f"it is longer than the {self.at} bytes it should have")

    def skip(self, count: int) -> None:
        """Let so many bytes go that are there already."""
        scratch = memoryview(bytearray(min(count, SKIP_BYTES)))
        self.at -= count
        while count:
            got = self.fill(scratch[:count])
            if not got:
                raise ImageTruncated(self.mirror.doing, f"the body ended {count} bytes before what is there already")
            count -= got

    def close(self) -> None:
        """The connection is kept if nothing is left on it."""
        self._opened.close()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        began_s = self._host.clock.monotonic_s()
        try:
            yield
        finally:
            waited_s = self._host.clock.monotonic_s() - began_s
            self.waited_s += waited_s
            self._meter.add(Stage.SOURCE, waited_s, 0)

    def _count(self, came_bytes: int) -> None:
        self._came += came_bytes
        self._meter.add(Stage.SOURCE, 0.0, came_bytes)
