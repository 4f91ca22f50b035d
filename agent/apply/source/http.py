# SPDX-License-Identifier: Apache-2.0
"""Stage 1 over HTTP: byte for byte, over links that break, from servers that go away for minutes, or change.

After a break it goes on from the exact byte where it was, at the same server or at a mirror. A file that became another
one is an error, never a mixture. Readers share the mirrors and nothing else: one reader a thread, one connection each.

A reader of everything reads over one connection. Several at once would fill a long link better, but what runs ahead
has to be kept: within 8 MiB, and with a round trip for each piece, four connections over 100 ms bring hardly more than
one does, whose window Linux lets grow to 6 MiB (tcp_rmem). Chunked images and QCOW2, which are asked for in ranges by
several threads, fill such links anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Event

from agent.apply.crew import Stopped
from agent.apply.meter import Meter
from agent.apply.source.flow import Flow
from agent.apply.source.mirrors import Mirror, Mirrors
from agent.apply.source.patience import Patience
from agent.errors import AgentError, ImageOverrun, ImageTruncated, ImageUnavailable, LinkError
from agent.host.doors import Body, Host
from agent.model.image import ImageRef
from agent.model.url import named

NEEDS_RANGES = "Serve it by a server that does ranges (RFC 9110, section 14), or pack it as raw.zst."


class HttpSource:
    """`Source` over HTTP. It asks nothing of a server before it must."""

    def __init__(self, host: Host, image: ImageRef, mirrors: Sequence[Mirror], stop: Event, meter: Meter) -> None:
        self._host = host
        self._mirrors = Mirrors(mirrors, image.file_bytes)
        self._stop = stop
        self._meter = meter
        self.image = image
        self.name = named(image.url)

    @property
    def size_bytes(self) -> int | None:
        """The file's length, if it was said, or seen by now; this asks nobody."""
        return self._mirrors.total_bytes

    @property
    def does_ranges(self) -> bool:
        """If nobody saw it yet, a byte is asked for. Raises as a reader does."""
        if self._mirrors.current.does_ranges is None:
            with self.reader(0, 1) as reader:
                reader.fill(memoryview(bytearray(1)))
        return bool(self._mirrors.current.does_ranges)

    @contextmanager
    def reader(self, offset_bytes: int = 0, length_bytes: int | None = None) -> Iterator[HttpReader]:
        """Any thread may have as many as it likes."""
        end = None if length_bytes is None else offset_bytes + length_bytes
        reader = HttpReader(self._host, self._mirrors, offset_bytes, end, self._stop, self._meter)
        try:
            yield reader
        finally:
            reader.close()

    def distrust(self, servers: Collection[str]) -> None:
        """They are asked last."""
        self._mirrors.distrust(servers)


class HttpReader:
    """`SourceReader` of one range: one answer after the other, until it has all."""

    def __init__(self, host: Host, mirrors: Mirrors, offset: int, end: int | None, stop: Event, meter: Meter) -> None:
        self._host = host
        self._mirrors = mirrors
        self._at = offset
        self._end = end
        self._is_from_start = offset == 0
        self._stop = stop
        self._meter = meter
        self._patience = Patience(host.clock, stop)
        self._flow: Flow | None = None
        self.servers: set[str] = set()

    def fill(self, view: memoryview) -> int:
        """The whole view, or less at the end of range or file."""
        got = 0
        self.servers = set()
        if self._flow is not None and self._flow.is_doubted and self._mirrors.current is not self._flow.mirror:
            self.close()
        while got < len(view) and not self._is_over:
            if self._stop.is_set():
                raise Stopped
            got += self._attempt(view[got:])
        return got

    def close(self) -> None:
        """Let the connection go."""
        if self._flow is not None:
            self._flow.close()
        self._flow = None

    @property
    def _limit(self) -> int | None:
        """Where it ends, as far as that is known."""
        return min((end for end in (self._end, self._mirrors.total_bytes) if end is not None), default=None)

    @property
    def _is_over(self) -> bool:
        return self._limit is not None and self._at >= self._limit

    @property
    def _length(self) -> int | None:
        """What is asked for; None is up to the file's end."""
        total = self._mirrors.total_bytes
        return None if self._end is None or (total is not None and self._end >= total) else self._end - self._at

    def _attempt(self, view: memoryview) -> int:
        """How many bytes came, also if it failed then: the next attempt goes on behind them."""
        before = self._at
        if self._flow is None:
            self._flow = Flow(self._host, self._meter, self._mirrors.current, self._at)
        flow = self._flow
        try:
            if flow.is_open or self._opened(flow):
                self._take(flow, view)
        except (LinkError, ImageTruncated) as error:
            self._failed(flow, error)
        except (ImageUnavailable, ImageOverrun) as error:
            self._drop(flow, error)
        return self._at - before

    def _opened(self, flow: Flow) -> bool:
        """Ask for what is left; whoever gives something else is not asked again."""
        length = self._length
        body = flow.open(length)
        if wrong := self._mirrors.wrong_length(flow.mirror, body.total_bytes):
            self._drop(flow, wrong)
            return False
        learn(flow.mirror, self._at, length, body)
        skip = self._at - body.offset_bytes
        if skip and not (self._is_from_start and length is None):
            self._drop(flow, ImageUnavailable(flow.mirror.doing, "the server gives no ranges", hint=NEEDS_RANGES))
            return False
        flow.skip(skip)
        return True

    def _take(self, flow: Flow, view: memoryview) -> None:
        part = view if self._limit is None else view[: self._limit - self._at]
        try:
            got = flow.fill(part)
        finally:
            if flow.at > self._at:
                self.servers.add(flow.mirror.url)
            self._at = flow.at
        if got < len(part):
            self._must_be_over(flow)
        elif self._is_over and self._length is None:
            flow.must_be_over()

    def _must_be_over(self, flow: Flow) -> None:
        """The body ended, and had not told its length."""
        self.close()
        if self._mirrors.wrong_length(flow.mirror, self._at):
            raise ImageTruncated(flow.mirror.doing, f"{self._at} of {self._limit} bytes came")

    def _failed(self, flow: Flow, error: AgentError) -> None:
        """Try again, here or elsewhere, after a pause if need be. Raises the error when patience is over."""
        self.close()
        if flow.is_slow and self._mirrors.slow(flow.mirror):
            raise error
        self._mirrors.turn(flow.mirror)
        self._patience.failed(error, flow.waited_s, self._at - flow.began_at, self._mirrors.others)

    def _drop(self, flow: Flow, error: AgentError) -> None:
        """Go on elsewhere. Raises the error if there is nobody else."""
        self.close()
        self._mirrors.drop(flow.mirror, error)


def learn(mirror: Mirror, offset: int, length: int | None, body: Body) -> None:
    """Whether the server does ranges, where its answer shows that."""
    if offset:
        mirror.does_ranges = body.offset_bytes == offset
    elif length is not None and body.length_bytes is not None and body.length_bytes != body.total_bytes:
        mirror.does_ranges = body.length_bytes <= length
    elif length is not None and (body.length_bytes is None or body.length_bytes > length):
        mirror.does_ranges = False
