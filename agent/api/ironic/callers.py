# SPDX-License-Identifier: Apache-2.0
"""Who calls: how many at a time, of one address and of all, and for how long.

Who has said nothing yet that was listened to is pushed out by who comes later, the longest there first, so that it
takes more than silence to keep Ironic out. A caller's time ends whatever TLS is busy with: it is counted outside.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import suppress
from http.client import LineTooLong
from threading import Lock
from typing import Any

from agent.program.log import Logger

CONNECTIONS = 64
OF_ONE = 16
"""Of one address. Ironic's conductor calls one after the other."""
HEAD_BYTES = 128 * 1024
"""Of a request before its body, which is read before anybody knows whose it is."""
QUIET_S = 60.0
"""Between two lines in the log about who was turned away."""

log = Logger("ironic")


class Caller:
    """A connection."""

    def __init__(self, sock: socket.socket, peer: str, time_s: float) -> None:
        self.sock = sock
        self.peer = peer
        self.is_heard = False
        """The desk has listened to it."""
        self.ends_s: float | None = time.monotonic() + time_s
        self._is_over = False

    def extend(self, time_s: float | None) -> None:
        """So much from now on; or as much as it takes us."""
        self.ends_s = None if time_s is None else time.monotonic() + time_s

    def is_now(self, sock: socket.socket) -> bool:
        """The same connection, by another object; whether it is still wanted."""
        self.sock = sock
        return not self._is_over

    def end(self) -> None:
        """For whatever thread reads or writes there. (TLS's own `shutdown` is for that thread alone.)"""
        self._is_over = True
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Callers:
    """All that are connected."""

    def __init__(self, most: int = CONNECTIONS, of_one: int = OF_ONE) -> None:
        self._most = most
        self._of_one = of_one
        self._lock = Lock()
        self._present: list[Caller] = []
        self._turned_away = 0
        self._told_s = -QUIET_S

    def admit(self, sock: socket.socket, peer: str, time_s: float) -> Caller | None:
        """For so long; None where there is no place."""
        with self._lock:
            theirs = [one for one in self._present if one.peer == peer]
            if len(theirs) >= self._of_one and not self._push_out(theirs):
                return self._turn_away(peer)
            if len(self._present) >= self._most and not self._push_out(self._present):
                return self._turn_away(peer)
            caller = Caller(sock, peer, time_s)
            self._present.append(caller)
            return caller

    def leave(self, caller: Caller) -> None:
        """It is over."""
        with self._lock, suppress(ValueError):  # it was pushed out
            self._present.remove(caller)

    def reap(self) -> None:
        """Whose time is over."""
        now_s = time.monotonic()
        with self._lock:
            for one in self._present:
                if one.ends_s is not None and one.ends_s < now_s:
                    one.end()

    def _push_out(self, among: list[Caller]) -> bool:
        """Its thread ends by itself, in a moment."""
        oldest = next((one for one in among if not one.is_heard), None)
        if oldest is None:
            return False
        self._present.remove(oldest)
        oldest.end()
        return True

    def _turn_away(self, peer: str) -> Caller | None:
        self._turned_away += 1
        if time.monotonic() - self._told_s >= QUIET_S:
            log.warning("connections too many", peer=peer, turned_away=self._turned_away)
            self._told_s = time.monotonic()
        return None


class Punctual(io.RawIOBase):
    """What a peer sends, for as long as its time lasts, and as much as it may: a limit of each read alone would let it
    drip for ever.
    """

    def __init__(self, sock: socket.socket, time_s: float, most_bytes: int = HEAD_BYTES) -> None:
        self._sock = sock
        self._ends_s = time.monotonic() + time_s
        self._left = most_bytes

    def extend(self, time_s: float, more_bytes: int) -> None:
        """So much from now on."""
        self._ends_s = time.monotonic() + time_s
        self._left += more_bytes

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What is there, at least a byte; 0 at the end. Raises `TimeoutError`, and `LineTooLong`, as http.client does,
        where there is more than may be.
        """
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the peer's time is over")
        if self._left <= 0:
            raise LineTooLong("head")
        self._sock.settimeout(left_s)
        found = self._sock.recv_into(buffer, min(len(buffer), self._left))
        self._left -= found
        return found
