# SPDX-License-Identifier: Apache-2.0
"""The door to another agent, for loading the network: several TCP connections at once, of which one side waits for all.

Only the partner's own address is let in. A break is `LinkError`; nothing here knows what is sent.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

from agent.errors import LinkError
from agent.host.load_doors import Connection

PAUSE_S = 0.5
SILENCE_S = 60.0
"""A partner that neither takes nor gives anything for so long is gone."""


class RealPeer:
    """`doors.Peer`."""

    @contextmanager
    def awaited(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> Iterator[tuple[Connection, ...]]:
        """Listen until the partner has made that many connections; whoever else calls is hung up on."""
        doing, end_s = f"waiting for {partner} on port {port}", time.monotonic() + patience_s
        with ExitStack() as stack:
            with made(doing):
                server = stack.enter_context(listening(port))
            server.settimeout(PAUSE_S)
            found: list[RealConnection] = []
            while len(found) < count:
                not_too_late(doing, end_s, stop, f"{len(found)} of {count} connections came")
                try:
                    conversation, caller = server.accept()
                except TimeoutError:
                    continue
                if plain(caller[0]) not in addresses(doing, partner):
                    conversation.close()
                    continue
                found.append(RealConnection(stack.enter_context(conversation), partner))
            yield tuple(found)

    @contextmanager
    def dialled(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> Iterator[tuple[Connection, ...]]:
        """Call until the partner answers."""
        doing, end_s = f"calling {partner}, port {port}", time.monotonic() + patience_s
        with ExitStack() as stack:
            found: list[RealConnection] = []
            while len(found) < count:
                try:
                    one = socket.create_connection((partner, port), timeout=SILENCE_S)
                except OSError as error:
                    not_too_late(doing, end_s, stop, error.strerror or str(error))
                    stop.wait(PAUSE_S)
                    continue
                found.append(RealConnection(stack.enter_context(one), partner))
            yield tuple(found)


class RealConnection:
    """`doors.Connection` over a socket."""

    def __init__(self, conversation: socket.socket, partner: str, silence_s: float = SILENCE_S) -> None:
        self._socket = conversation
        self._partner = partner
        self._silence_s = silence_s

    def send(self, view: memoryview) -> None:
        """All of it."""
        self._socket.settimeout(self._silence_s)
        try:
            self._socket.sendall(view)
        except OSError as error:
            raise LinkError(f"sending to {self._partner}", error.strerror or str(error)) from error

    def fill(self, view: memoryview) -> None:
        """The whole view, within the time that silence may last: who drips is gone, too."""
        done, end_s = 0, time.monotonic() + self._silence_s
        while done < len(view):
            try:
                self._socket.settimeout(left_s(end_s))
                got = self._socket.recv_into(view[done:])
            except TimeoutError as error:
                told = f"{done} of {len(view)} bytes came in {self._silence_s:g} s"
                raise LinkError(f"receiving from {self._partner}", told) from error
            except OSError as error:
                raise LinkError(f"receiving from {self._partner}", error.strerror or str(error)) from error
            if not got:
                raise LinkError(f"receiving from {self._partner}", "it ended the connection")
            done += got


def left_s(end_s: float) -> float:
    """Raises `TimeoutError` where nothing is."""
    left = end_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def listening(port: int) -> socket.socket:
    """On all addresses, of both families where the kernel has both."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def addresses(doing: str, partner: str) -> set[str]:
    """Of the partner."""
    with made(doing):
        return {plain(str(one[4][0])) for one in socket.getaddrinfo(partner, None, type=socket.SOCK_STREAM)}


def plain(address: str) -> str:
    """Without a zone; and an IPv4 address that came by a socket of both families as what it is."""
    return address.partition("%")[0].removeprefix("::ffff:")


def not_too_late(doing: str, end_s: float, stop: Event, told: str) -> None:
    """Raises `LinkError` once it is, or nobody wants it any more."""
    if stop.is_set() or time.monotonic() >= end_s:
        raise LinkError(doing, told, hint="Both machines run the step at the same time, in opposite roles.")


@contextmanager
def made(doing: str) -> Iterator[None]:
    """What the system says is a `LinkError`."""
    try:
        yield
    except OSError as error:
        raise LinkError(doing, error.strerror or str(error)) from error
