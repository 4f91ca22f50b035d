# SPDX-License-Identifier: Apache-2.0
"""The door to a server, opened as slowly as it takes to see where it is stuck: DNS, route, TCP, TLS, HTTP.

One attempt, within one limit for all of it. It says what it found at every rung, and judges nothing; what it sends is
one GET without credentials.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from threading import Thread
from typing import TypeVar

from agent.host.connections import trust
from agent.model.ladder import Ladder, Rung, Step
from agent.model.network import IPAddress
from agent.model.url import named, origin

LEAST_S = 0.05
HEAD_BYTES = 64 * 1024
T = TypeVar("T")


class Broken(Exception):
    """A rung bears nothing; the text says why."""


class Climber:
    """One climb: the rungs so far, and the time that is left."""

    def __init__(self, timeout_s: float) -> None:
        self.rungs: list[Rung] = []
        self._end_s = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Never nothing: a timeout of 0 means something else to sockets."""
        return max(LEAST_S, self._end_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether none is left."""
        return time.monotonic() >= self._end_s

    @contextmanager
    def rung(self, step: Step) -> Iterator[list[str]]:
        """What is put into the list is what was found. Raises `Broken` where it does not hold."""
        found: list[str] = []
        began_s = time.monotonic()
        fault = None
        try:
            yield found
        except TimeoutError:
            fault = "no answer in time"
        except ssl.SSLCertVerificationError as error:
            fault = f"the server's certificate is refused: {error.verify_message}"
        except ssl.SSLError as error:
            fault = f"refused: {error.reason or 'no TLS is spoken there'}"
        except OSError as error:
            fault = error.strerror or str(error)
        except (HTTPException, ValueError) as error:
            fault = f"no HTTP is spoken there ({type(error).__name__})"
        took_ms = round((time.monotonic() - began_s) * 1000, 1)
        self.rungs.append(Rung(step=step, took_ms=took_ms, found="".join(found), fault=fault))
        if fault is not None:
            raise Broken(fault)


def climb(url: str, timeout_s: float, *, insecure: bool = False, ca_pem: str | None = None) -> Ladder:
    """To the server of this URL, as far as it leads; `ca_pem` are the only authorities, where some are named."""
    climber = Climber(timeout_s)
    times: tuple[datetime | None, datetime | None] = (None, None)
    with suppress(Broken):
        times = climbed(climber, url, insecure=insecure, ca_pem=ca_pem)
    return Ladder(url=named(url), rungs=tuple(climber.rungs), server_time=times[0], our_time=times[1])


def climbed(
    climber: Climber, url: str, *, insecure: bool, ca_pem: str | None
) -> tuple[datetime | None, datetime | None]:
    """(the server's time, ours). Raises `Broken`."""
    with climber.rung(Step.DNS) as found:
        scheme, host, port = origin(url)
        addresses = looked_up(host, climber.left_s)
        found.append(", ".join(map(str, addresses)))
    with climber.rung(Step.ROUTE) as found:
        routed = [(address, source) for address in addresses if (source := source_for(address, port))]
        if not routed:
            raise OSError("no route leads there")
        found.append(f"from {routed[0][1]}")
    with climber.rung(Step.TCP) as found:
        stream = connected([address for address, _ in routed], port, climber)
        found.append(f"port {port} is open")
    with closing(stream):
        if scheme == "https":
            with climber.rung(Step.TLS) as found:
                stream.settimeout(climber.left_s)
                stream = trust(ca_pem, insecure=insecure).wrap_socket(stream, server_hostname=host)
                found.append(f"{stream.version()}{', not verified' if insecure else ''}")
        with closing(stream), climber.rung(Step.HTTP) as found:
            stream.settimeout(climber.left_s)
            status, told = asked(stream, host, port, climber)
            found.append(f"status {status}")
            if status >= 500:
                raise OSError(f"it answers {status}")
    return told, datetime.now(UTC)


def looked_up(host: str, timeout_s: float) -> tuple[IPAddress, ...]:
    """The system's resolver knows no timeout of ours, so it is left alone when it takes too long. Raises `OSError`."""
    with suppress(ValueError):
        return (ip_address(host),)
    if not host:
        raise OSError("there is no name")
    found = in_time(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), timeout_s)
    return tuple(dict.fromkeys(ip_address(str(one[4][0])) for one in found))


def in_time(ask: Callable[[], T], timeout_s: float) -> T:
    """What it brings, or raises. Raises `TimeoutError` without an answer in time; the asking may go on, unheard."""
    answers: list[T] = []
    failures: list[OSError] = []

    def run() -> None:
        try:
            answers.append(ask())
        except OSError as error:
            failures.append(error)
        except UnicodeError:
            failures.append(OSError("that can be no name"))

    thread = Thread(target=run, name="asking", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError
    return answers[0]


def source_for(address: IPAddress, port: int) -> str | None:
    """Our address on the way there, by the kernel's routes; nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as way, suppress(OSError):
        way.connect((str(address), port or 1))
        return str(way.getsockname()[0])
    return None


def connected(addresses: list[IPAddress], port: int, climber: Climber) -> socket.socket:
    """To the first that takes it. Raises the last `OSError`."""
    for place, address in enumerate(addresses, start=1):
        share_s = climber.left_s / (len(addresses) - place + 2)  # something is left for TLS and HTTP
        try:
            return socket.create_connection((str(address), port), max(LEAST_S, share_s))
        except OSError:
            if place == len(addresses):
                raise
    raise OSError("there is no address")


def asked(stream: socket.socket, host: str, port: int, climber: Climber) -> tuple[int, datetime | None]:
    """The answer's status, and its Date (RFC 9110, section 6.6.1)."""
    connection = HTTPConnection(host, port)
    connection.sock = stream
    connection.request("GET", "/", headers={"User-Agent": "bms-agent", "Connection": "close"})
    answer = HTTPResponse(Heard(head(stream, climber)))  # type: ignore[arg-type] # all that it does with a socket
    answer.begin()
    date = answer.headers.get("Date")
    with suppress(TypeError, ValueError):
        told = parsedate_to_datetime(date) if date else None
        return answer.status, told if told is None or told.tzinfo else told.replace(tzinfo=UTC)
    return answer.status, None


class Heard:
    """What came over a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        """It, to be read."""
        return io.BytesIO(self._content)


def head(stream: socket.socket, climber: Climber) -> bytes:
    """An answer as far as it concerns us. Who drips has no more time than who is silent: raises `TimeoutError`."""
    got = b""
    while b"\r\n\r\n" not in got and len(got) < HEAD_BYTES:
        if climber.is_over:
            raise TimeoutError
        stream.settimeout(climber.left_s)
        piece = stream.recv(4096)
        if not piece:
            break
        got += piece
    return got
