# SPDX-License-Identifier: Apache-2.0
"""The door to locks that end with their process: flock(2) on a file below the root."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import ChangeUnderWay, HostError
from agent.host.doors import Files

POLL_S = 0.05


class RealLock:
    """`doors.Lock` over flock(2)."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @contextmanager
    def __call__(self, path: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """For as long as the block."""
        doing = f"taking {path}"
        try:
            real = Path(self._files.real_path(path))
            real.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(doing, error.strerror or str(error)) from error
        try:
            end_s = time.monotonic() + wait_s
            while not taken(held):
                if time.monotonic() >= end_s:
                    raise ChangeUnderWay(doing, "another process has it")
                time.sleep(POLL_S)
            yield
        finally:
            os.close(held)


def taken(held: int) -> bool:
    """Whether it is ours now."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
