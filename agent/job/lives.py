# SPDX-License-Identifier: Apache-2.0
"""How the agent's processes ended, one after the other, in this boot: counted, told, and slowed.

systemd starts an agent that ended again, for ever: a server must not be out of reach. One that ends again and again
waits before it begins, longer each time, so that it neither keeps a processor busy nor its controller; and says so. A
life of `STABLE_S` makes good for all that was before. Who is told to stop ended well.

The record lies in the runtime directory: it outlives the process, whatever killed it, and dies with the boot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from agent.errors import AgentError
from agent.host.doors import Files, Host
from agent.model.fault import Fault
from agent.model.frozen import Frozen, decode

FILE = "lives.json"
STABLE_S = 600.0
FREE = 2
"""So many in a row are started again without a pause."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 120.0
KILLED = Fault(code="AGENT.KILLED", message="it was killed: by its watchdog, for want of memory, or by somebody")

log = structlog.get_logger("lives")


class Lives(Frozen):
    """`ended` processes in a row did not live long, the last one by `last`; the present one began at `began_s`, by the
    clock that no one sets, and is over if that is None.
    """

    ended: int = 0
    last: Fault | None = None
    began_s: float | None = None

    def over(self, fault: Fault, now_s: float) -> Lives:
        """The present one ended by this."""
        is_long = self.began_s is not None and now_s - self.began_s >= STABLE_S
        return Lives(ended=1 if is_long else self.ended + 1, last=fault)

    def begun(self, now_s: float) -> Lives:
        """The next one begins; one that did not say how it ended was killed."""
        before = self if self.began_s is None else self.over(KILLED, now_s)
        return before.model_copy(update={"began_s": now_s})

    @property
    def pause_s(self) -> float:
        """Before it does anything."""
        rounds = self.ended - FREE - 1
        return 0.0 if rounds < 0 else min(FIRST_PAUSE_S * 2 ** min(rounds, 10), LONGEST_PAUSE_S)

    def fault(self, now_s: float) -> Fault | None:
        """What is to be told of it, until the present one has lived long enough."""
        if self.last is None or (self.began_s is not None and now_s - self.began_s >= STABLE_S):
            return None
        often = "once" if self.ended == 1 else f"{self.ended} times in a row"
        return Fault(
            code="AGENT.CRASHED",
            message=f"this agent ended {often}; the last time by {self.last.code}: {self.last.message}",
            details=self.last.details,
            hint=self.last.hint or "Read what it said before: journalctl -b -u 'bms-agent*'.",
        )


def lives_in(files: Files, directory: str) -> Lives:
    """What is on record; nothing where that cannot be read: it is nobody's state."""
    path = f"{directory}/{FILE}"
    try:
        return decode(Lives, files.read_bytes(path), f"reading {path}") if files.exists(path) else Lives()
    except AgentError as error:
        log.warning("how earlier processes ended cannot be read", error=str(error))
        return Lives()


@contextmanager
def lived(host: Host, directory: str) -> Iterator[Lives]:
    """One life. The block gets what was before it; what it raises is how this one ended."""
    before = lives_in(host.files, directory).begun(host.clock.monotonic_s())
    keep(host.files, directory, before)
    try:
        yield before
    except BaseException as error:
        keep(host.files, directory, before.over(Fault.of(error), host.clock.monotonic_s()))
        raise
    keep(host.files, directory, Lives())


def keep(files: Files, directory: str, lives: Lives) -> None:
    """A full /run keeps nobody from working."""
    try:
        files.write(f"{directory}/{FILE}", lives.model_dump_json().encode(), mode=0o600)
    except AgentError as error:
        log.warning("how this process goes is not recorded", error=str(error))
