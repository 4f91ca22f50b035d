# SPDX-License-Identifier: Apache-2.0
"""The command that writes an image, as systemd starts it: one process for each call, as nobody, where this test may do
that.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.link.beside import listener
from tests.nobody import as_nobody

HANDED_OVER = as_nobody(
    "writer",
    """
from contextlib import suppress
from agent.errors import LinkError
from agent.life.sd_notify import Notifier
from agent.apply.writer.process import run
from agent.host.real import host
made = host()
made.counters.threads()
with suppress(LinkError), made.fetch("http://127.0.0.1:9/"):
    pass
import agent.host.connections, bz2, lzma, structlog, zstandard
""",
    "run(made, Notifier())",
)


class Started:
    """The socket, and whoever answers there."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.path = str(folder / "socket")
        self.users: list[int] = []
        self._log = folder / "writer.log"
        self._listener = listener(folder / "socket")
        self._environment = {**os.environ, **environment}
        self._stop = Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._start_each, name="as systemd")
        self._thread.start()

    def _start_each(self) -> None:
        fd = self._listener.fileno()
        while not self._stop.is_set():
            is_called = bool(select.select([fd], [], [], 0.05)[0])
            if is_called and (self._process is None or self._process.poll() is not None):
                with self._log.open("ab") as log:
                    argv = [sys.executable, "-c", HANDED_OVER, str(fd)]
                    self._process = subprocess.Popen(
                        argv, pass_fds=(fd,), stdout=log, stderr=log, cwd="/", env=self._environment
                    )
            elif is_called:
                self._stop.wait(0.05)

    def kill(self) -> None:
        """Whoever is at it, at once."""
        assert self._process is not None
        self.users.append(Path(f"/proc/{self._process.pid}").stat().st_uid)
        self._process.kill()
        self._process.wait(20)

    def stop(self) -> int:
        """Whoever is at it lies still, with all that it has; its number."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        return self._process.pid

    def close(self) -> None:
        """All of it."""
        self._stop.set()
        self._thread.join(20)
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        Path(self.path).unlink()

    @property
    def log(self) -> str:
        """What they wrote."""
        return self._log.read_text()


@contextmanager
def started(folder: Path, **environment: str) -> Iterator[Started]:
    """Until the block ends."""
    found = Started(folder, environment)
    try:
        yield found
    finally:
        found.close()
