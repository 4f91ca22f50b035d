# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.watched DIRECTORY HOW`: the resident agent as a process of its own, on a fake machine with real time
and real files, one of whose loops ends as it is told in the first life, and well in every other.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

from pydantic import SecretStr

from agent.config import Settings
from agent.daemon import Daemon, Open, live
from agent.host.clock import RealClock
from agent.host.fake import FakeHost
from agent.host.files import RealFiles
from agent.life.lives import Folder, lives_in, stop_on_signals
from agent.life.loops import Loop
from agent.life.sd_notify import Notifier
from agent.life.watch import Alive
from agent.model.protocol import Session

LONG_S = 600
LIMIT_S = 2.0


def hangs(_: Alive) -> None:
    """As one does that waits for a lock, or for a device."""
    sleep(LONG_S)


def holds_all_up(_: Alive) -> None:
    """As a library does that hangs within a call: no thread of the process runs any more, the watching one neither."""
    sleep(LIMIT_S * 0.75)  # by then it is ready, and under systemd's watch
    ctypes.PyDLL(None).sleep(LONG_S)


def lives(alive: Alive) -> None:
    """More often than it must."""
    while True:
        alive()
        sleep(LIMIT_S / 20)


def main(directory: str, how: str) -> None:
    """One life."""
    host = replace(FakeHost.with_files({}), clock=RealClock(), files=RealFiles(directory))
    settings = Settings(state_dir=Path("/state"), runtime_dir=Path("/run"))
    is_first = not lives_in(Folder(host.files, "/run")).ended and not host.files.exists("/run/lives.json")
    loop = Loop("ours", globals()[how] if is_first else lives, LIMIT_S)

    class Resident(Daemon):
        """With one loop more."""

        def loops(self, stop: object) -> list[Loop]:
            """All of them."""
            return [*super().loops(stop), loop]  # type: ignore[arg-type]

    session = Session(session_id="s", boot_id="boot-1", mode="ramdisk", agent_version="1")
    opened = Open(session=session, url="http://127.0.0.1:1", node_id="node-1", credential=SecretStr("c"))
    stop, notifier = stop_on_signals(), Notifier()
    live(host, settings, stop, notifier, lambda: Resident(host, settings, opened, None).run(stop, notifier))


if __name__ == "__main__":
    main(*sys.argv[1:])
