# SPDX-License-Identifier: Apache-2.0
"""Root's side of a fetch: a URL and a bound go to the process that writes images, and bytes come back; it gets no disk.
There are no more of them than were asked for, within the time that the slowest server may take. What they are, who
asked for them judges.
"""

from __future__ import annotations

import time

from agent.apply.writer.relay import SEND_S, head_of, proxies, rid_of
from agent.apply.writer.wire import raised
from agent.errors import DecodeError, LinkError, WriterDistrusted, WriterFailed
from agent.host.answer import SLOW_AFTER_S, SLOWEST_BYTES_PER_S
from agent.host.doors import Host
from agent.host.line import Line, dialled
from agent.model.frozen import decode
from agent.model.image import Access
from agent.model.url import named
from agent.model.writing import FETCHED_BYTES, Failed, Fetch, Fetched, FromWriter, Wanted

PATIENCE_S = 2 * SLOW_AFTER_S
"""A process may be slow to start, and a server to answer."""


def relayed(
    host: Host, url: str, most_bytes: int, access: Access, socket: str, patience_s: float = PATIENCE_S
) -> bytes:
    """One attempt, by a process of its own. Raises `WriterFailed`, `WriterDistrusted`, and as fetching does."""
    doing = f"fetching {named(url)} through {socket}"
    told = {"url": url, "most_bytes": most_bytes, "access": access, "trusted": host.fetch.trusted}
    wanted = Wanted.model_validate(told | {"proxies": proxies()})
    end_s = time.monotonic() + patience_s + most_bytes / SLOWEST_BYTES_PER_S
    try:
        with dialled(socket, doing, asks_who=True) as line:
            try:
                line.send(head_of(Fetch()), wanted.model_dump_json().encode(), SEND_S)
                return answered(line, most_bytes, end_s, doing)
            finally:
                line.close()
                rid_of(line.speaker, "fetched")
    except LinkError as error:
        if error.doing != doing:  # of the server
            raise
        raise WriterFailed(doing, error.evidence) from error


def answered(line: Line, most_bytes: int, end_s: float, doing: str) -> bytes:
    """All pieces, to the end."""
    found = bytearray()
    while (piece := line.receive(max(end_s - time.monotonic(), 0.001))) is not None:
        try:
            told = decode(FromWriter, piece[0], doing).said
        except DecodeError as error:
            raise WriterDistrusted(doing, f"that process makes no sense: {error.evidence}") from error
        if isinstance(told, Failed):
            raise raised(told)
        if not isinstance(told, Fetched) or not len(piece[1]) <= min(FETCHED_BYTES, most_bytes - len(found)):
            raise WriterDistrusted(doing, f"that process says '{told.kind}', {len(piece[1])} bytes after {len(found)}")
        if not piece[1]:
            return bytes(found)
        found += piece[1]
    raise WriterFailed(doing, "that process ended, or hung up")
