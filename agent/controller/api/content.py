# SPDX-License-Identifier: Apache-2.0
"""A large file that never changes, sent to many machines at once: whole, or one range of it.

Reading must not hold up the event loop, and a hop to a thread for each piece costs more than the piece. So a piece is
taken straight from the page cache where it is there (RWF_NOWAIT, preadv2(2)), and in a thread where it is not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 256 * 1024
SMALLEST_PIECE_BYTES = 64 * 1024
MEMORY_BYTES = 128 * 1024 * 1024
"""What all pieces under way may take together; with many machines the pieces get smaller."""
READERS = 8
"""Threads that wait for the disk: apart from those that serve everything else."""
FOREVER = "public, max-age=31536000, immutable"
RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*")

Span = tuple[int, int]


def span_of(text: str | None, size: int) -> Span | None:
    """The one range that is asked for, from its first byte to behind its last (RFC 9110, section 14).

    None: the whole file. That is also the answer to several ranges, and to what is no range at all. A range that lies
    behind the file's end is empty: 416.
    """
    found = RANGE.fullmatch(text) if text else None
    if found is None or found.group(1) == found.group(2) == "":
        return None
    first, last = found.group(1), found.group(2)
    if not first:
        return max(0, size - int(last)), size
    begin, end = int(first), int(last) + 1 if last else size
    if begin >= end and last:
        return None
    return min(begin, size), min(end, size)


class Sending:
    """What all answers of a process share: who reads for them, and how much memory they have. In the event loop."""

    def __init__(self) -> None:
        self._readers: anyio.CapacityLimiter | None = None
        self._answers = 0
        self._may_ask_cache = True

    @contextmanager
    def one(self) -> Iterator[None]:
        """While one answer is sent."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    @property
    def piece_bytes(self) -> int:
        """As many as everybody can have."""
        return max(SMALLEST_PIECE_BYTES, min(PIECE_BYTES, MEMORY_BYTES // max(1, self._answers)))

    async def read(self, fd: int, view: memoryview, at: int) -> int:
        """Some bytes, at least one before the file's end."""
        if self._may_ask_cache:
            try:
                return os.preadv(fd, [view], at, os.RWF_NOWAIT)
            except BlockingIOError:
                pass  # it must be read from the disk
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                self._may_ask_cache = False  # not every filesystem can
        if self._readers is None:
            self._readers = anyio.CapacityLimiter(READERS)
        return await anyio.to_thread.run_sync(os.preadv, fd, [view], at, limiter=self._readers)


def sending_of(request: Request) -> Sending:
    """The one of this application."""
    sending = request.app.state.sending
    assert isinstance(sending, Sending)
    return sending


Sends = Annotated[Sending, Depends(sending_of)]


class Content(Response):
    """The answer to a GET or HEAD. The tag is strong: the same tag, the same bytes."""

    def __init__(self, path: Path, tag: str, sending: Sending) -> None:
        super().__init__()
        self._path = path
        self._tag = f'"{tag}"'
        self._sending = sending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        asked = Headers(scope=scope)
        fd = await anyio.to_thread.run_sync(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            wanted = asked.get("range") if asked.get("if-range") in (None, self._tag) else None
            status, span = judged(asked, self._tag, span_of(wanted, size), size)
            headers = [(name.encode(), value.encode()) for name, value in described(status, self._tag, span, size)]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            if scope["method"] == "GET":
                await self._send(fd, span, receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            os.close(fd)

    async def _send(self, fd: int, span: Span, receive: Receive, send: Send) -> None:
        """Piece by piece; between two pieces others have their turn, and whoever went away is noticed."""
        at, end = span
        gone = asyncio.ensure_future(_gone(receive))
        try:
            with self._sending.one():
                view = memoryview(bytearray(min(self._sending.piece_bytes, end - at)))
                while at < end and not gone.done():
                    count = await self._sending.read(fd, view[: end - at], at)
                    if not count:
                        raise OSError(f"{self._path.name} ends at {at}, not at {end}")
                    at += count
                    await send({"type": "http.response.body", "body": bytes(view[:count]), "more_body": True})
                    await asyncio.sleep(0)
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def judged(asked: Headers, tag: str, span: Span | None, size: int) -> tuple[int, Span]:
    """The status, and what is sent (RFC 9110, section 13.2.2)."""
    tags = {one.strip().removeprefix("W/") for one in asked.get("if-none-match", "").split(",")}
    if tags & {tag, "*"}:
        return 304, (0, 0)
    if span is None:
        return 200, (0, size)
    return (206, span) if span[0] < span[1] else (416, (0, 0))


def described(status: int, tag: str, span: Span, size: int) -> Iterator[tuple[str, str]]:
    """The headers."""
    yield "etag", tag
    yield "accept-ranges", "bytes"
    if status == 416:
        yield "content-range", f"bytes */{size}"
        yield "content-length", "0"
        return
    yield "cache-control", FOREVER
    if status == 206:
        yield "content-range", f"bytes {span[0]}-{span[1] - 1}/{size}"
    if status != 304:
        yield "content-type", "application/octet-stream"
        yield "content-length", str(span[1] - span[0])
