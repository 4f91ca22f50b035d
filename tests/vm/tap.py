# SPDX-License-Identifier: Apache-2.0
"""What lies between a guest and its controller: passes everything on, keeps the reports that passed, can be cut."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from agent.model.job import JobReport
from agent.model.protocol import ReportBatch

LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
JOIN_S = 5
REPORTS = b"POST /v1/agent/reports "


class Tap:
    """Listens on loopback for one controller."""

    def __init__(self, port: int) -> None:
        """`port`: the controller's."""
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._said: list[bytearray] = []
        self._lines: list[socket.socket] = []
        self._over = Event()
        self._cut = Event()
        self._threads = list[Thread]()
        self._start(self._accept)

    @property
    def reports(self) -> dict[tuple[str, int], JobReport]:
        """All that passed, each once however often it was sent."""
        found: dict[tuple[str, int], JobReport] = {}
        for said in self._said:
            for body in bodies(bytes(said)):
                batch = ReportBatch.model_validate_json(body)
                found |= {(batch.stream_id, one.sequence): one.report for one in batch.reports}
        return found

    def finals(self, verb: str) -> list[JobReport]:
        """Those that end a request."""
        return [one for one in self.reports.values() if one.state.final and one.verb == verb]

    def cut(self) -> None:
        """Nobody gets through any more."""
        self._cut.set()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Who comes from now on does."""
        self._cut.clear()

    def close(self) -> None:
        """For good."""
        self._over.set()
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(JOIN_S)
        for line in self._lines:
            line.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to)) if not self._cut.is_set() else None
            except OSError:
                continue
            if far is None:
                near.close()
                continue
            said = bytearray()
            self._said.append(said)
            self._lines += [near, far]
            for one, other, kept in ((near, far, said), (far, near, None)):
                self._start(carry, one, other, kept)

    def _start(self, work: Callable[..., None], *words: object) -> None:
        self._threads.append(Thread(target=work, args=words, name="tap", daemon=True))
        self._threads[-1].start()


def carry(one: socket.socket, other: socket.socket, kept: bytearray | None) -> None:
    """One way, until either end is gone."""
    with suppress(OSError):
        while data := one.recv(1 << 16):
            if kept is not None:
                kept += data
            other.sendall(data)
    for line in (one, other):
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def bodies(said: bytes) -> Iterator[bytes]:
    """Of the batches of reports in what a client sent over one connection; a body that was cut off is none."""
    at = 0
    while (end := said.find(b"\r\n\r\n", at)) >= 0:
        head = said[at:end]
        length = LENGTH.search(head)
        at = end + 4 + (int(length[1]) if length else 0)
        if head.startswith(REPORTS) and at <= len(said):
            body = said[end + 4 : at]
            json.loads(body)
            yield body


@contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """For as long as the block."""
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()
