# SPDX-License-Identifier: Apache-2.0
"""A connection: who opened it, told to the application (uvicorn knows the certificate that TLS was opened with, and
keeps it to itself); and its end, where nobody says anything over it.

uvicorn waits for ever for the rest of a request that was begun, and takes any number of connections: whoever opens
enough of them shuts everybody out. So each request's head has its time, and of those who have not shown who they are
an address has no more than so many connections. (A body's time is `api.limits`' business.)
"""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

PEER = "bms.peer_certificate"
"""In the scope of a call: the certificate of whoever opened its connection, DER. TLS has judged who signed it."""
AUTHENTICATED = "bms.authenticated"
"""In the scope of a call whose token, or credential, was found to be good."""
HEAD_S = 20.0
"""For a request's line and headers."""
IDLE_S = 75.0
"""A node asks for one range after the other, with pauses in which its disk is slower than we are."""
MOST_STRANGERS = 1024
"""A rack behind one address has 40 machines, each with a few connections while it boots."""
NETWORK = 4
"""So many times as much as an address has an IPv6 network, where one machine has as many addresses as it likes."""


def network_of(address: str) -> str:
    """Of an IPv6 address its /64; any other is by itself."""
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return address if found.ipv4_mapped else str(IPv6Network((int(found) >> 64 << 64, 64)))


class Doorkeeper:
    """Counts the connections of strangers, by address."""

    def __init__(self, most: int = MOST_STRANGERS, head_s: float = HEAD_S, idle_s: float = IDLE_S) -> None:
        """`idle_s`: between two requests."""
        self.head_s, self.idle_s = head_s, idle_s
        self._most = most
        self._inside: Counter[str] = Counter()

    def __len__(self) -> int:
        """Addresses and networks that are remembered."""
        return len(self._inside)

    def enter(self, address: str) -> bool:
        """One more, if there is room."""
        network = network_of(address)
        if self._inside[address] >= self._most or self._inside[network] >= self._most * NETWORK:
            return False
        self._inside.update({address, network})
        return True

    def leave(self, address: str) -> None:
        """It is closed, or no stranger's."""
        for one in {address, network_of(address)}:
            self._inside[one] -= 1
            if not self._inside[one]:
                del self._inside[one]


def watched(kind: Any, door: Doorkeeper) -> Any:
    """The same protocol of uvicorn's, which does so."""

    class Watched(kind):  # type: ignore[misc]
        app: ASGIApp
        _counted: str | None = None
        _alarm: asyncio.TimerHandle | None = None
        _calls = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            """TLS is up, if there is any."""
            super().connection_made(transport)
            address = str(self.client[0]) if self.client else ""
            if not door.enter(address):
                transport.abort()
                return
            self._counted = address
            app: ASGIApp = self.app
            tls = transport.get_extra_info("ssl_object")
            shown = tls.getpeercert(binary_form=True) if tls is not None else None

            async def told(scope: Scope, receive: Receive, send: Send) -> None:
                self._calls += 1
                self._wait(None)
                scope[PEER] = shown
                try:
                    await app(scope, receive, send)
                finally:
                    if scope.get(AUTHENTICATED):
                        self._count_no_more()
                    self._calls -= 1
                    if not self._calls:  # the next one may have begun already
                        self._wait(door.idle_s + door.head_s)

            self.app = told
            self._wait(door.head_s)

        def connection_lost(self, exc: Exception | None) -> None:
            """By whichever side."""
            self._wait(None)
            self._count_no_more()
            super().connection_lost(exc)

        def _wait(self, seconds: float | None) -> None:
            """For the head of the next request; None: not now."""
            if self._alarm is not None:
                self._alarm.cancel()
            ends = seconds is None or self.transport.is_closing()
            self._alarm = None if ends else self.loop.call_later(seconds, self.transport.abort)

        def _count_no_more(self) -> None:
            if self._counted is not None:
                door.leave(self._counted)
            self._counted = None

    return Watched
