# SPDX-License-Identifier: Apache-2.0
"""A file of the web that is wanted whole, or its beginning, and is not large: what steps name beside the image. With a
socket, the process behind it fetches, which may do nothing else (`agent.apply.writer`); else this very process does.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from agent.errors import LinkError, WriterFailed
from agent.host.doors import Host
from agent.model.image import OPEN, Access
from agent.model.writing import FETCHED_BYTES

PAUSES_S = (1.0, 5.0, 15.0)


def beginning(host: Host, url: str, most_bytes: int, socket: str | None, access: Access = OPEN) -> bytes:
    """Of a file, or all of it if it is no longer. What breaks gets a few more tries. Raises `LinkError`, `ImageError`,
    `InputError`; `WriterFailed`, `WriterDistrusted`.
    """
    pauses = list(PAUSES_S)
    while True:
        try:
            if socket is None:
                return b"".join(pieces(host, url, most_bytes, access))
            from agent.apply.writer.fetched import relayed

            return relayed(host, url, most_bytes, access, socket)
        except (LinkError, WriterFailed):
            if not pauses:
                raise
            host.clock.wait(Event(), pauses.pop(0))


def pieces(host: Host, url: str, most_bytes: int, access: Access) -> Iterator[bytes]:
    """By one attempt; none is empty, and none is longer than `FETCHED_BYTES`."""
    room, left = memoryview(bytearray(min(FETCHED_BYTES, most_bytes))), most_bytes
    with host.fetch(url, access=access) as body:
        while left and (count := body.fill(room[:left])):
            yield bytes(room[:count])
            left = left - count if count == len(room[:left]) else 0
