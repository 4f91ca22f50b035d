# SPDX-License-Identifier: Apache-2.0
"""How processes of one kind ended, one after the other, in this boot: counted, told, and slowed.

systemd starts one that ended again, for ever: a server must not be out of reach. One that ends again and again waits
before it begins, longer each time, so that it neither keeps a processor busy nor those whom it calls; and says so. A
life of `STABLE_S` makes good for all that was before. Who is told to stop ended well.

The record lies where it outlives the process, whatever killed it, and dies with the boot: in the runtime directory, or,
of a process that has no file of its own, in memory that systemd holds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol, TypeVar

from agent.errors import AgentError
from agent.life.sd_notify import Notifier
from agent.life.watch import Time
from agent.model.fault import Fault
from agent.model.frozen import Frozen, decode
from agent.program.log import Logger

FILE = "lives.json"
STABLE_S = 600.0
FREE = 2
"""So many in a row are started again without a pause."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 120.0
LARGEST_BYTES = 64 * 1024
KILLED = Fault(code="AGENT.KILLED", message="it was killed: by its watchdog, for want of memory, or by somebody")

Found = TypeVar("Found")
log = Logger("lives")


@dataclass(frozen=True)
class Kind:
    """Of process."""

    code: str = "AGENT.CRASHED"
    name: str = "this agent"
    units: str = "bms-agent*"


AGENT = Kind()
LINK = Kind("LINK.CRASHED", "the process that speaks to the controller", "bms-agent-link")
API = Kind("API.CRASHED", "the process that Ironic calls", "bms-agent-api")
CONTROLLER = Kind("CONTROLLER.CRASHED", "this controller", "bms-agent-controller")
IMPORTER = Kind("CONTROLLER.CRASHED", "the controller's importer", "bms-agent-importer")


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

    def fault(self, now_s: float, kind: Kind = AGENT) -> Fault | None:
        """What is to be told of it, until the present one has lived long enough."""
        if self.last is None or (self.began_s is not None and now_s - self.began_s >= STABLE_S):
            return None
        return Fault(
            code=kind.code,
            message=f"{kind.name} ended {often(self.ended)}; the last time by {self.last.code}: {self.last.message}",
            details=self.last.details,
            hint=self.last.hint or f"Read what it said before: journalctl -b -u '{kind.units}'.",
        )


def often(ended: int) -> str:
    """In words."""
    return "once" if ended == 1 else f"{ended} times in a row"


class Shelf(Protocol):
    """Where a record lies."""

    def read(self) -> bytes | None:
        """None if there is none. Raises `AgentError`, `OSError`."""
        ...

    def keep(self, text: bytes) -> None:
        """Raises `AgentError`, `OSError`."""
        ...


class Files(Protocol):
    """As much of the door to files as it takes."""

    def exists(self, path: str) -> bool: ...
    def read_bytes(self, path: str) -> bytes: ...
    def write(self, path: str, data: bytes, *, mode: int) -> None: ...


@dataclass(frozen=True)
class Folder:
    """A shelf in a directory, by the agent's door to files."""

    files: Files
    directory: str

    def read(self) -> bytes | None:
        """As a shelf."""
        path = f"{self.directory}/{FILE}"
        return self.files.read_bytes(path) if self.files.exists(path) else None

    def keep(self, text: bytes) -> None:
        """As a shelf."""
        self.files.write(f"{self.directory}/{FILE}", text, mode=0o600)


@dataclass(frozen=True)
class Plain:
    """A shelf in a directory, for who has no such door; None: nobody starts this process again, and nothing is kept."""

    directory: Path | None

    def read(self) -> bytes | None:
        """As a shelf."""
        path = self.directory / FILE if self.directory is not None else None
        return path.read_bytes() if path is not None and path.exists() else None

    def keep(self, text: bytes) -> None:
        """As a shelf."""
        if self.directory is not None:
            half = self.directory / f"{FILE}.part"
            half.write_bytes(text)
            half.replace(self.directory / FILE)


class Memory:
    """A shelf in memory that systemd holds, for who has no file of its own. A record that was cut short is none."""

    def __init__(self, notifier: Notifier) -> None:
        self._fd = notifier.file("lives")

    def read(self) -> bytes | None:
        """As a shelf."""
        return os.pread(self._fd, LARGEST_BYTES, 0) or None

    def keep(self, text: bytes) -> None:
        """As a shelf."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text, 0)


def lives_in(shelf: Shelf) -> Lives:
    """What is on record; nothing where that cannot be read: it is nobody's state."""
    try:
        text = shelf.read()
        return decode(Lives, text, "reading how earlier processes ended") if text is not None else Lives()
    except (AgentError, OSError) as error:
        log.warning("how earlier processes ended cannot be read", error=str(error))
        return Lives()


@contextmanager
def lived(shelf: Shelf, time: Time) -> Iterator[Lives]:
    """One life. The block gets what was before it; what it raises is how this one ended."""
    before = lives_in(shelf).begun(time.monotonic_s())
    keep(shelf, before)
    try:
        yield before
    except BaseException as error:
        keep(shelf, before.over(Fault.of(error), time.monotonic_s()))
        raise
    keep(shelf, Lives())


def stop_on_signals() -> Event:
    """Set by SIGTERM and SIGINT."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def keep(shelf: Shelf, lives: Lives) -> None:
    """A full /run keeps nobody from working."""
    try:
        shelf.keep(lives.model_dump_json().encode())
    except (AgentError, OSError) as error:
        log.warning("how this process goes is not recorded", error=str(error))


def live(
    shelf: Shelf,
    time: Time,
    stop: Event,
    notifier: Notifier,
    work: Callable[[Lives], Found],
    longest_pause_s: float = LONGEST_PAUSE_S,
) -> Found | None:
    """One life of a process that stays. It counts how it ends, and begins later where those before it were short; None
    if it was stopped before.
    """
    with lived(shelf, time) as before:
        if pause_s := min(before.pause_s, longest_pause_s):
            log.warning("beginning later", ended=before.ended, pause_s=pause_s)
            notifier.status(f"ended {before.ended} times in a row: waiting for {pause_s:.0f} s")
            with notifier.kept_alive():
                time.wait(stop, pause_s)
        return None if stop.is_set() else work(before)
