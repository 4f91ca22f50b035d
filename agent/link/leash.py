# SPDX-License-Identifier: Apache-2.0
"""An end to every request. `requests` limits each read alone: who drips a byte now and then would hold a thread.

A connection whose time is over is shut down from beside, and whatever waits on it returns, for headers or for the body.
(Name, connection and TLS's handshake have limits of their own, for all of each.)
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Lock, Timer
from typing import Any

from requests.adapters import HTTPAdapter

CUT = "its answer has no end"


class Leash:
    """Holds the connections of one request after another; it belongs to one thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: list[socket.socket] = []
        self.is_cut = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All connections that are made in the block, or asked in it once more, have so much time."""
        self.is_cut = False
        timer = Timer(seconds, self._cut)
        timer.name, timer.daemon = "leash", True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._let_go()

    def hold(self, sock: socket.socket) -> None:
        """By a descriptor of its own, so that nobody else's is shut down when this one was closed."""
        with self._lock:
            self._held.append(socket.fromfd(sock.fileno(), sock.family, sock.type))
        if self.is_cut:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.is_cut = True
            for sock in self._held:
                with suppress(OSError):  # it is over already
                    sock.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        with self._lock:
            held, self._held = self._held, []
        for sock in held:
            with closing(sock):
                pass


class Leashed(HTTPAdapter):
    """Connections on a leash; over TLS with a context of ours. Whom that trusts, the session says."""

    def __init__(self, leash: Leash, context: Any = None) -> None:
        self._leash = leash
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by the constructor."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        kinds = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {scheme: leashed(kind, self._leash) for scheme, kind in kinds.items()}


def leashed(kind: Any, leash: Leash) -> Any:
    """The same kind of pool, with connections that the leash holds."""

    class Connection(kind.ConnectionCls):  # type: ignore[misc]  # whose it is, is requests' business
        """To one server."""

        def connect(self) -> None:
            """Called before a request."""
            super().connect()
            leash.hold(self.sock)

        def putrequest(self, *args: Any, **kwargs: Any) -> None:
            """A request begins; the connection may be that of an earlier one."""
            if self.sock is not None:
                leash.hold(self.sock)
            super().putrequest(*args, **kwargs)

    class Pool(kind):  # type: ignore[misc]  # as above
        """Of these."""

        ConnectionCls = Connection

    return Pool
