# SPDX-License-Identifier: Apache-2.0
"""The process that speaks at the other end of a line, held so that it can be ended, whatever becomes of its number.

The kernel says who has said something, and gives a pidfd of it (SO_PASSPIDFD, Linux 6.5). Who listens is no answer:
that is systemd, which has made the socket. An older kernel tells nothing, and nobody is ended then.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

SO_PASSPIDFD, SCM_PIDFD = 76, 4
"""For which Python has no names (include/uapi/asm-generic/socket.h, include/linux/socket.h)."""
MS_PER_S = 1000


class Speaker:
    """A process that said something."""

    def __init__(self, pidfd: int) -> None:
        """`pidfd` is this one's from now on."""
        self._pidfd = pidfd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """It is not held any more, and left alone."""
        os.close(self._pidfd)

    def has_ended(self, within_s: float) -> bool:
        """By itself. All that it had open is closed then."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(within_s * MS_PER_S))

    def kill(self, within_s: float) -> bool:
        """Whether it is no more, which one in the kernel's hands may take its time for."""
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        return self.has_ended(within_s)


def ask_who_speaks(connected: socket.socket, *, asks: bool = True) -> bool:
    """From now on it is told with what is received. False where the kernel cannot."""
    try:
        connected.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, asks)
    except OSError:
        return False
    return True


def speaker_of(level: int, kind: int, data: bytes) -> Speaker | None:
    """Of what came beside the bytes; None for another thing, for who is gone, and for this very process."""
    if (level, kind) != (socket.SOL_SOCKET, SCM_PIDFD):
        return None
    pidfd = int.from_bytes(data, "little", signed=True)
    if pidfd < 0:  # the kernel's word for one that has ended
        return None
    told = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="utf-8").splitlines()
    if f"Pid:\t{os.getpid()}" in told:
        os.close(pidfd)
        return None
    return Speaker(pidfd)
