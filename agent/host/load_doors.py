# SPDX-License-Identifier: Apache-2.0
"""The doors that burn-in needs beside the others, as protocols: processors, and another machine's agent."""

from __future__ import annotations

from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol


class Processors(Protocol):
    """Logical processors, by number."""

    def numbers(self) -> tuple[int, ...]:
        """Those that this process may run on, in order."""
        ...

    def bind(self, number: int) -> None:
        """Let the calling thread run on this one alone, behind all other work. Raises `HostError`."""
        ...


class Connection(Protocol):
    """One of several to the same partner; each belongs to one thread. Raises `LinkError`."""

    def send(self, view: memoryview) -> None: ...
    def fill(self, view: memoryview) -> None:
        """The whole view."""
        ...


class Peer(Protocol):
    """Another agent. Both raise `LinkError` where it does not come in `patience_s`, or `stop` is set."""

    def awaited(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> AbstractContextManager[tuple[Connection, ...]]:
        """Wait for that many connections from it, and from nobody else."""
        ...

    def dialled(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> AbstractContextManager[tuple[Connection, ...]]:
        """Make that many connections to it."""
        ...
