# SPDX-License-Identifier: Apache-2.0
"""A background process of the lab (dnsmasq, BMC, controller) with its log file, and the patience to see it ready."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.fault import LabFault

READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 20.0
POLL_S = 0.2
TAIL_LINES = 25


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The end of a log, whatever bytes a console left in it; nothing when there is no log."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(what: str, happened: Callable[[], bool], timeout_s: float, poll_s: float = POLL_S) -> None:
    """Look again and again; the fault of a wait in vain says for what."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > deadline:
            raise LabFault(f"waiting for {what}: not within {timeout_s:.0f} seconds")
        time.sleep(poll_s)


class Daemon:
    """One such process. It can be started again after it was stopped; its log goes on."""

    def __init__(self, argv: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv, self.log, self.env = argv, log, dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Start it in the calling thread's namespace, and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.env,
                start_new_session=True,
            )
        wait_until(f"{self.argv[0]} to be ready", lambda: not self.running or ready(), READY_TIMEOUT_S)
        if not self.running:
            status = self._process.returncode
            raise LabFault(f"starting {' '.join(self.argv)}: it ended with status {status}\n{tail(self.log)}")

    def stop(self) -> None:
        """End it in order; nothing happens if it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
