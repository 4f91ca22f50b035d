# SPDX-License-Identifier: Apache-2.0
"""The process that speaks to the controller, for tests: in a thread, or as what systemd starts, and as whom."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from agent.errors import AgentError
from agent.host.line import Line, accepted, dialled
from agent.life.lives import Lives
from agent.life.sd_notify import Notifier
from agent.link.process import serve
from agent.model.call import Call
from agent.model.frozen import decode
from tests.nobody import as_nobody

HANDED_OVER = as_nobody(
    "link",
    """
import structlog
from contextlib import suppress
from agent.errors import LinkError
from agent.life.sd_notify import Notifier
from agent.link.direct import Direct
from agent.life.lives import stop_on_signals
from agent.link.process import run
from agent.model.call import Call
with suppress(LinkError):
    Direct("http://127.0.0.1:9", None).exchange(Call(method="GET", target="/"), b"")
""",
    "run(Notifier(), stop_on_signals())",
)
"""A call before the user changes has everything imported."""


def listener(path: Path) -> socket.socket:
    """As systemd makes it."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.bind(str(path))
    found.listen(16)
    return found


@contextmanager
def beside(folder: Path, trusts: Collection[int] | None = None, before: Lives | None = None) -> Iterator[str]:
    """In a thread, until the block ends; its socket."""
    stop, path = Event(), folder / "socket"
    with listener(path) as listening:
        thread = Thread(target=serve, args=(listening, Notifier({}), stop, trusts, before), name="beside")
        thread.start()
        try:
            yield str(path)
        finally:
            stop.set()
            thread.join(20)
    path.unlink()


@contextmanager
def overheard(folder: Path, heard: list[tuple[Call, bytes, bytes]]) -> Iterator[str]:
    """The same, by way of a third that writes down each call, its body and its answer; its socket."""
    stop, path = Event(), folder / "overheard"

    def hand_on(line: Line, onward: Line) -> None:
        with line, onward, suppress(AgentError):
            if (opening := line.receive(60)) is not None:
                onward.send(*opening, within_s=60)
            while (asked := line.receive(60, waits=True)) is not None:
                onward.send(*asked, within_s=60)
                if (answered := onward.receive(60)) is None:
                    return
                heard.append((decode(Call, asked[0], "listening"), asked[1], answered[1]))
                line.send(*answered, within_s=60)

    def listen() -> None:
        listening.settimeout(0.1)
        while not stop.is_set():
            if (line := accepted(listening, "listening")) is not None:
                Thread(target=hand_on, args=(line, dialled(behind, "listening")), daemon=True).start()

    with beside(folder) as behind, listener(path) as listening:
        thread = Thread(target=listen, name="overhearing")
        thread.start()
        try:
            yield str(path)
        finally:
            stop.set()
            thread.join(20)


class Started:
    """The command itself, as systemd starts it: as nobody, where this test may do that. systemd's part is to keep the
    socket.
    """

    def __init__(self, folder: Path, code: str = HANDED_OVER) -> None:
        self._code = code
        self.path = folder / "socket"
        self._listener = listener(self.path)
        self._log = folder / "link.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Once more."""
        self.kill()
        fd = self._listener.fileno()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self._code, str(fd)], pass_fds=(fd,), stdout=log, stderr=log, cwd="/"
            )
        return self.process

    def kill(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def close(self) -> None:
        """All of it."""
        self.kill()
        self._listener.close()
        self.path.unlink()

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()


@contextmanager
def started(folder: Path) -> Iterator[Started]:
    """Until the block ends."""
    found = Started(folder)
    try:
        found.start()
        yield found
    finally:
        found.close()


def user_of(process: subprocess.Popen[bytes]) -> int:
    """Whose process it is."""
    return Path(f"/proc/{process.pid}").stat().st_uid
