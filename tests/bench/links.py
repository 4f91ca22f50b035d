# SPDX-License-Identifier: Apache-2.0
"""Machines on a switch, with links of a limited speed: namespaces, veth pairs and token buckets (tc-tbf).

Nothing of it is reachable from outside, nor reaches out: the switch has no port but theirs. Addresses are of
RFC 2544's network for benchmarks.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.loops import command

BURST_BYTES = 256 * 1024  # more than one segment of offloaded TCP (64 KiB), so that the bucket need not split it
QUEUE_MS = 50


@dataclass(frozen=True)
class Machine:
    """A namespace with one NIC."""

    namespace: str
    address: str

    @property
    def inside(self) -> tuple[str, ...]:
        """Put before a command, it runs there; only the network is another."""
        return ("nsenter", f"--net=/run/netns/{self.namespace}")


class Switch:
    """It lasts as long as `switch`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._namespaces = [f"{prefix}-switch"]
        command("ip", "netns", "add", self._name)
        self._ip("link", "add", "ports", "type", "bridge")
        self._ip("link", "set", "ports", "up")

    @property
    def _name(self) -> str:
        return self._namespaces[0]

    def _ip(self, *words: str) -> None:
        command("ip", "-n", self._name, *words)

    def machine(self, mbit_per_s: int | None = None) -> Machine:
        """One more, with so many Mbit/s in each direction."""
        number = len(self._namespaces)
        new = Machine(f"{self._prefix}-{number}", f"198.18.0.{number}")
        self._namespaces.append(new.namespace)
        port = f"port{number}"
        command("ip", "netns", "add", new.namespace)
        self._ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", new.namespace)
        self._ip("link", "set", port, "master", "ports", "up")
        inside = ("ip", "-n", new.namespace)
        command(*inside, "link", "set", "lo", "up")
        command(*inside, "address", "add", f"{new.address}/24", "dev", "eth0")
        command(*inside, "link", "set", "eth0", "up")
        if mbit_per_s is not None:
            limit(self._name, port, mbit_per_s)
            limit(new.namespace, "eth0", mbit_per_s)
        return new

    def remove(self) -> None:
        """All namespaces, and with them their links."""
        for name in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def limit(namespace: str, link: str, mbit_per_s: int) -> None:
    """What leaves by this link."""
    bucket = ("tbf", "rate", f"{mbit_per_s}mbit", "burst", str(BURST_BYTES), "latency", f"{QUEUE_MS}ms")
    command("tc", "-n", namespace, "qdisc", "add", "dev", link, "root", *bucket)


@contextmanager
def switch() -> Iterator[Switch]:
    """A new one, with no machine yet."""
    made = Switch(f"bench{os.getpid()}")
    try:
        yield made
    finally:
        made.remove()
