# SPDX-License-Identifier: Apache-2.0
"""The fake doors of burn-in: processors to bind threads to, and partners, of which none ever comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from agent.errors import HostError, LinkError
from agent.host.fake.faults import FakeDoor, counted
from agent.host.load_doors import Connection


class FakeProcessors(FakeDoor):
    """`doors.Processors`: as many as the record says. What is bound to them runs where it likes."""

    noun = "processors"

    @counted
    def numbers(self) -> tuple[int, ...]:
        """From 0 on."""
        return tuple(range(self.machine.record.counts.threads))

    def bind(self, number: int) -> None:
        """One that is there. Not counted: threads call it in no order."""
        if number >= self.machine.record.counts.threads:
            raise HostError(f"binding a thread to processor {number}", "Invalid argument")


class FakePeer(FakeDoor):
    """`doors.Peer`: waiting for nobody takes the machine's time."""

    noun = "peer"
    failure = LinkError

    @contextmanager
    def awaited(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> Iterator[tuple[Connection, ...]]:
        """Nobody comes."""
        self._missed(partner, patience_s)
        yield ()

    @contextmanager
    def dialled(
        self, partner: str, port: int, count: int, patience_s: float, stop: Event
    ) -> Iterator[tuple[Connection, ...]]:
        """Nobody answers."""
        self._missed(partner, patience_s)
        yield ()

    @counted
    def _missed(self, partner: str, patience_s: float) -> None:
        self.machine.uptime_s += patience_s
        raise LinkError(f"calling {partner}", "nobody answers")
