# SPDX-License-Identifier: Apache-2.0
"""The fake door to questions in one datagram each: `machine.correspondents` answer, by (host or group, port)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.host.fake.faults import FakeDoor, counted
from agent.model.network import IPAddress


class FakeDatagrams(FakeDoor):
    """`doors.Datagrams`: an answer is made of its question, at once; silence takes the machine's time."""

    noun = "datagrams"

    @counted
    def ask(self, host: str, port: int, question: bytes, timeout_s: float) -> bytes | None:
        """Of whom the test put there."""
        return next(iter(self._heard(host, port, question, timeout_s)), None)

    @counted
    def ask_around(
        self, links: Sequence[str], groups: Sequence[IPAddress], port: int, question: bytes, timeout_s: float
    ) -> Iterator[bytes]:
        """Of all in these groups, if any link is up."""
        up = any(self.machine.links[name].up for name in links if name in self.machine.links)
        heard = [one for group in groups if up for one in self._heard(str(group), port, question, 0)]
        self.machine.uptime_s += 0 if heard else timeout_s
        return iter(heard)

    def _heard(self, host: str, port: int, question: bytes, timeout_s: float) -> list[bytes]:
        answer = self.machine.correspondents.get((host, port))
        self.machine.uptime_s += 0 if answer else timeout_s
        return answer(question) if answer else []
