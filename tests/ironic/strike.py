# SPDX-License-Identifier: Apache-2.0
"""Bad luck for the agent at a chosen moment: what a person would type into the ramdisk's shell, and be quick enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket
from threading import Event, Thread

from lab.ironic import Ironic
from lab.site import Site

STATE = "/run/bms-agent/ironic"
ORDER = f"{STATE}/order.json"
PROCESSES = "/sys/fs/cgroup/system.slice/bms-agent-ramdisk.service/cgroup.procs"
STRUCK = "bad luck for"
PROMPT_S = 20
PAUSE_S = 0.1


def when(condition: str, signal: str = "KILL") -> str:
    """This signal for the agent, as soon as that is so. Its number is read without a process, to be quick; and one that
    pauses takes little of the machine's time.
    """
    strike = f"read pid <{PROCESSES}; kill -{signal} $pid; echo {STRUCK} $pid >/dev/console"
    return f"until {condition}; do sleep {PAUSE_S}; done; {strike}\n"


def answered(condition: str, seconds: float = 0.7) -> str:
    """A moment later: Ironic has heard that it began. (An order that it hears nothing of has failed, to Ironic.)"""
    return f"{condition} && sleep {seconds}"


def under_way(name: str) -> str:
    """That command, with its parameters, is on record as running."""
    return f"grep -q '\"{name}\"' {ORDER} 2>/dev/null"


@contextmanager
def struck(site: Site[Ironic], order: str) -> Iterator[None]:
    """The ramdisk that boots next is told this, once."""
    over = Event()
    thread = Thread(target=lambda: _tell(site, order, over), name="strike")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(site: Site[Ironic], order: str, over: Event) -> None:
    """As soon as there is a shell; it is held open, since it ends with who called it, and heard: its bytes come one by
    one, and a socket is full after some 280 such, which blocks whoever writes there.
    """
    while not over.wait(1):
        with suppress(OSError), site.machine.shell() as door:
            door.settimeout(PROMPT_S)
            door.sendall(b"\n")
            heard = b""
            while b"# " not in heard and (more := door.recv(4096)):  # the prompt; silence, or an end, ends this try
                heard += more
            if b"# " in heard:
                door.sendall(order.encode())
                door.settimeout(PAUSE_S)
                while not over.is_set() and _is_open(door):
                    pass
                return


def _is_open(door: socket) -> bool:
    """After it was heard for a moment."""
    try:
        return door.recv(4096) != b""
    except TimeoutError:
        return True
    except OSError:
        return False
