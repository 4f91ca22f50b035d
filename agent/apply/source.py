# SPDX-License-Identifier: Apache-2.0
"""Stage 1: the image's file, byte for byte, over a link that breaks and a server that goes away for minutes.

After a break it goes on from the exact byte where it was; a file that changed in between is an error, not a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import structlog

from agent.errors import ImageError, ImageOverrun, ImageTruncated, LinkError
from agent.host.doors import Body, Host
from agent.model.image import ImageRef
from agent.model.job import Advance

CHUNK_BYTES = 1024 * 1024
PATIENCE_S = 1800.0
"""How long the server may give nothing at all before the write is given up."""
LONGEST_PAUSE_S = 30.0
TRUNCATIONS = 5
"""So many bodies in a row that end early without a byte more: the server has no more."""

log = structlog.get_logger("image")


class Source:
    """One image's file. Iterating gives its bytes once; `advance` is told how many so far."""

    def __init__(self, host: Host, image: ImageRef, advance: Advance) -> None:
        self._host = host
        self._image = image
        self._advance = advance
        self._done = 0
        self._total = image.file_bytes
        self._validator: str | None = None
        self._stop = Event()

    def __iter__(self) -> Iterator[bytes]:
        """Raises `ImageError`, or `LinkError` when patience is over."""
        quiet_since = self._host.clock.monotonic_s()
        truncations = 0
        pause_s = 1.0
        while True:
            before = self._done
            try:
                yield from self._attempt()
                return
            except (LinkError, ImageTruncated) as error:
                if self._done > before:
                    quiet_since, truncations, pause_s = self._host.clock.monotonic_s(), 0, 1.0
                truncations += isinstance(error, ImageTruncated)
                waited_s = self._host.clock.monotonic_s() - quiet_since
                if truncations >= TRUNCATIONS or waited_s > PATIENCE_S:
                    raise
                log.warning("image interrupted", at_bytes=self._done, error=str(error), pause_s=pause_s)
            self._advance(self._done, self._total)  # a request that is not wanted any more ends here
            self._host.clock.wait(self._stop, pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _attempt(self) -> Iterator[bytes]:
        with self._host.fetch(self._image.url, offset_bytes=self._done) as body:
            self._must_be_the_same(body)
            skip = self._done - body.offset_bytes
            for chunk in body.chunks(CHUNK_BYTES):
                piece, skip = chunk[skip:], max(skip - len(chunk), 0)
                if not piece:
                    continue
                self._done += len(piece)
                if self._total is not None and self._done > self._total:
                    raise ImageOverrun(self._doing(), f"it is longer than the {self._total} bytes it should have")
                yield piece
                self._advance(self._done, self._total)
        if self._total is not None and self._done < self._total:
            raise ImageTruncated(self._doing(), f"{self._done} of {self._total} bytes came")

    def _must_be_the_same(self, body: Body) -> None:
        total = None if body.length_bytes is None else body.offset_bytes + body.length_bytes
        if self._done == 0:
            self._validator = body.validator
        if body.validator != self._validator:
            raise ImageError(self._doing(), f"the file changed on the server after {self._done} bytes")
        if None not in (total, self._total) and total != self._total:
            told = f"the server has {total} bytes, the image should have {self._total}"
            raise (ImageTruncated if (total or 0) < (self._total or 0) else ImageOverrun)(self._doing(), told)
        self._total = self._total or total

    def _doing(self) -> str:
        return f"fetching {self._image.url}"
