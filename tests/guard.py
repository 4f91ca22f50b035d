# SPDX-License-Identifier: Apache-2.0
"""A guard by Python's audit hooks: while it is up, no process is started and nothing but loopback is talked to.

An audit hook sees every way there (PEP 578), needs no patching, and cannot be taken away again: so it is one for the
whole run, and asks `is_up`.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address

STARTING = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "os.system"}
TALKING = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class Escaped(BaseException):
    """A fast test reached for the world outside. No `except Exception` may hide it."""


class Guard:
    """Up or down; the hook does the rest."""

    def __init__(self) -> None:
        self.is_up = False
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.is_up:
            return
        if event in STARTING:
            raise Escaped(f"a fast test started a process: {event}{arguments[:2]}")
        if event in TALKING and is_far(arguments[1]):
            raise Escaped(f"a fast test talked to {arguments[1]}")
        if event == "socket.getaddrinfo" and is_far((arguments[0],)):
            raise Escaped(f"a fast test looked up {arguments[0]}")


def is_far(address: object) -> bool:
    """Whether an address is of the Internet and not of this machine. Paths and netlink are of this machine."""
    host = address[0] if isinstance(address, tuple) and address else None
    if isinstance(host, bytes):
        host = host.decode()
    if not isinstance(host, str) or host in ("", "localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True  # a name, to be looked up somewhere
