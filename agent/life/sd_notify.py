# SPDX-License-Identifier: Apache-2.0
"""Telling systemd how the service is (sd_notify(3)): ready, status, alive, stopping. Without systemd, nothing.

In: the environment that systemd made. Out: datagrams to its socket. It must never fail the agent: a message that does
not arrive is systemd's loss, and the watchdog then does what it is for.

systemd also holds what is open for the next process (sd_pid_notify_with_fds(3), FDSTORE): while this one is killed, and
started again, whoever connects to a socket waits in the kernel's queue, and is not refused; and who has no file of its
own still knows what it knew, from one in memory.
"""

from __future__ import annotations

import os
import socket
import stat
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread

from agent.life.watch import Alive, SystemTime, Watch, doom

US_PER_S = 1_000_000
START_EXTENSION_S = 60.0
LONGEST_TURN_S = 1800.0
"""Of a long wait: a network that is proven, hardware that is asked."""
FIRST_FD = 3
"""Of those that systemd hands over (sd_listen_fds(3))."""


class Notifier:
    """The service manager's ear."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = socket_address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = watchdog_s(environment, os.getpid())
        self._is_ready = False
        self._handed_over = handed_over(environment, os.getpid())
        self._files = files_of(environment, os.getpid())

    def ready(self, status: str = "") -> None:
        """Start-up is over; units that wait for this one may go on."""
        self._is_ready = True
        self._send("READY=1", *([f"STATUS={one_line(status)}"] if status else []))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={one_line(text)}")

    def watchdog(self) -> None:
        """Alive. To be sent more often than every `watchdog_s`; while starting, it also asks for more time."""
        more = [] if self._is_ready else [f"EXTEND_TIMEOUT_USEC={int(START_EXTENSION_S * US_PER_S)}"]
        self._send("WATCHDOG=1", *more)

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def hold(self, name: str, sock: socket.socket) -> None:
        """Keep it for the next process, under a name."""
        self._send("FDSTORE=1", f"FDNAME={name}", fds=(sock.fileno(),))

    def taken(self, name: str) -> socket.socket | None:
        """That which an earlier process has given to be held; once."""
        return self._handed_over.pop(name, None)

    def let_go(self, name: str, sock: socket.socket | None = None) -> None:
        """Nobody listens there any more: whoever connects shall be refused, whoever else has the socket."""
        self._send("FDSTOREREMOVE=1", f"FDNAME={name}")
        for one in (sock, self.taken(name)):
            if one is not None:
                with suppress(OSError):  # it was not listening
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def file(self, name: str) -> int:
        """One in memory, which systemd holds for the next process: that which an earlier one has left, or a new one."""
        if (found := self._files.pop(name, None)) is not None:
            return found
        made = os.memfd_create(name, os.MFD_CLOEXEC)
        self._send("FDSTORE=1", f"FDNAME={name}", fds=(made,))
        return made

    @contextmanager
    def kept_alive(self, turn_s: float = LONGEST_TURN_S) -> Iterator[Alive]:
        """For a wait that is long: a thread says to systemd that we live, for as long as the block says it at least
        every `turn_s`. One that does not hangs, and the process is bound to end."""
        over, watch, name = Event(), Watch(SystemTime()), "what it waits for"
        period_s = min(self.watchdog_s or START_EXTENSION_S, START_EXTENSION_S) / 3

        def alive() -> None:
            watch.hear(name, turn_s)

        def speak() -> None:
            self.watchdog()
            while not over.wait(min(period_s, turn_s)):
                if watch.silent():
                    doom()
                    return
                self.watchdog()

        alive()
        thread = Thread(target=speak, name="alive", daemon=True)
        thread.start()
        try:
            yield alive
        finally:
            over.set()
            thread.join()

    def _send(self, *lines: str, fds: tuple[int, ...] = ()) -> None:
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
            sock.sendmsg(["\n".join(lines).encode()], beside, socket.MSG_NOSIGNAL, self._address)


def handed_over(environment: Mapping[str, str], pid: int) -> dict[str, socket.socket]:
    """By name, the sockets that systemd gave to this very process; of a name that came twice, the last."""
    found: dict[str, socket.socket] = {}
    for name, fd in named(environment, pid):
        with suppress(OSError):
            os.set_inheritable(fd, False)
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found[name] = socket.socket(fileno=fd)
    return found


def files_of(environment: Mapping[str, str], pid: int) -> dict[str, int]:
    """By name, the files in memory that systemd has held for this very process."""
    found: dict[str, int] = {}
    for name, fd in named(environment, pid):
        with suppress(OSError):
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.set_inheritable(fd, False)
                found[name] = fd
    return found


def named(environment: Mapping[str, str], pid: int) -> list[tuple[str, int]]:
    """What systemd gave to this very process, as numbers of open files."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return list(zip(names, range(FIRST_FD, FIRST_FD + int(count)), strict=False))


def socket_address(name: str) -> str | None:
    """A path, or an abstract name, which is written `@…` and begins with a NUL byte (unix(7))."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """The longest silence that systemd bears, if it watches this very process (sd_watchdog_enabled(3))."""
    period, watched = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not period.isdecimal() or (watched and watched != str(pid)):
        return None
    return int(period) / US_PER_S or None


def one_line(text: str) -> str:
    """A newline would end the message's field and begin another."""
    return " ".join(text.split())
