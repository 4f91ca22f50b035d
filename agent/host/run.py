# SPDX-License-Identifier: Apache-2.0
"""The door to commands: the only module that starts processes.

In: an argv list, a timeout, perhaps a text for stdin. Out: `Completed`, or an error with argv, status and the end of
stderr. No shell, no inherited environment beyond a short list, nothing left running after the timeout, nor after this
process: who asked may have given up, and ended, before the timeout.
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agent.errors import CommandFailed, ToolMissing
from agent.host.doors import Completed

KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STDERR_TAIL_CHARS = 600
KILL_GRACE_S = 5.0
UNDER_WAY: set[tuple[int, subprocess.Popen[str]]] = set()
"""Commands that have not ended, and whose they are: a fork knows its parent's, too."""


class RealRun:
    """`doors.Run` over the operating system."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str | None = None) -> Completed:
        """Run to the end.

        Raises `ToolMissing`, or `CommandFailed`.
        """
        doing = f"running {shlex.join(argv)}"
        started = time.monotonic()
        if not is_installed(argv[0]):
            raise ToolMissing(doing, f"{argv[0]} is not installed")
        try:
            process = start(argv, stdin)
        except OSError as error:
            raise CommandFailed(doing, error.strerror or str(error)) from error
        mine = (os.getpid(), process)
        UNDER_WAY.add(mine)
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                stderr = kill(process)
                raise CommandFailed(doing, said(f"not finished after {timeout_s:g} s, killed", stderr)) from None
            except BaseException:
                kill(process)
                raise
            finally:
                UNDER_WAY.discard(mine)
        if process.returncode:
            raise CommandFailed(doing, said(ending(process.returncode), stderr))
        return Completed(tuple(argv), stdout, stderr, time.monotonic() - started)


def is_installed(tool: str) -> bool:
    """Looked up here, because exec says EACCES of a missing tool where PATH has a directory that is closed to us."""
    return shutil.which(tool, path=environment(os.environ)["PATH"]) is not None or ("/" in tool and Path(tool).exists())


def start(argv: Sequence[str], stdin: str | None) -> subprocess.Popen[str]:
    """The process, in a session of its own so that its children can be ended with it."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(os.environ),
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@atexit.register
def end_all() -> None:
    """What a thread still waits for that was left behind with it (`inventory/side_by_side.py`)."""
    for parent, process in tuple(UNDER_WAY):
        if parent == os.getpid() and process.returncode is None:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """The whole process group. Its number is nobody else's: whoever leads it was not waited for."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def kill(process: subprocess.Popen[str]) -> str:
    """End it; what it had written to stderr.

    A child that left the group may still hold the pipes, so even the farewell has a timeout.
    """
    end(process)
    try:
        return process.communicate(timeout=KILL_GRACE_S)[1]
    except subprocess.TimeoutExpired:
        return ""


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """A clean environment: what tools print must not depend on who started the agent."""
    kept = {name: inherited[name] for name in KEPT_VARIABLES if name in inherited}
    return {"PATH": DEFAULT_PATH} | kept | {"LANG": "C.UTF-8"}


def ending(returncode: int) -> str:
    """How a process ended; a negative code is the signal that ended it."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def said(ended: str, stderr: str) -> str:
    """How it ended and the last thing it said."""
    tail = " ".join(stderr.split())[-STDERR_TAIL_CHARS:]
    return f"{ended}; stderr: {tail}" if tail else ended
