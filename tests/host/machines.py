# SPDX-License-Identifier: Apache-2.0
"""Machines in namespaces of a test's own, on one switch; and work that is done inside of one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.bench.links import Machine, Switch
from tests.libc import call
from tests.loops import command

T = TypeVar("T")
PATIENCE_S = 0.25


def inside(machine: Machine, work: Callable[[], T]) -> T:
    """Run `work` in a thread whose network is the machine's: setns(2) is of the thread."""

    def entered() -> T:
        fd = os.open(Path("/run/netns") / machine.namespace, os.O_RDONLY)
        try:
            call("setns", fd, 0)
        finally:
            os.close(fd)
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix="netns") as pool:
        return pool.submit(entered).result(timeout=120)


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many, each with 198.18.0.N and fd18::N on eth0."""
    made = Switch(f"packets{os.getpid()}")
    try:
        found = [made.machine() for _ in range(count)]
        for number, one in enumerate(found, 1):
            command("ip", "-n", one.namespace, "address", "add", f"fd18::{number}/64", "dev", "eth0", "nodad")
        yield found
    finally:
        made.remove()


def listening(machine: Machine, port: int, *, is_tcp: bool = False) -> socket.socket:
    """A socket of a machine, on all its addresses."""

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::", port))
        made.settimeout(PATIENCE_S)
        if is_tcp:
            made.listen(64)
        return made

    return inside(machine, opened)


def seen_from(client: Machine, server: Machine, address: str, port: int = 5000) -> str | None:
    """Send a datagram from a new port to an address; whom it comes from, as the server sees it, or `None`."""
    with listening(server, port) as there, spoken(client, address) as here:
        try:
            here.sendto(b"x", (address, port))
            return str(there.recvfrom(10)[1][0]).removeprefix("::ffff:")
        except (TimeoutError, PermissionError):  # what `output` drops is refused at once
            return None


def spoken(client: Machine, address: str) -> socket.socket:
    """A datagram socket of a client."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return inside(client, lambda: socket.socket(family, socket.SOCK_DGRAM))
