# SPDX-License-Identifier: Apache-2.0
"""Root's side of the split under Ironic: its requests come by way of a process that may do nothing else.

    Ironic ──► bms-agent-api: TLS, HTTP ──► /run/bms-agent-api/socket ──► root: the desk judges, commands are done

Who opens disks reads neither TLS nor HTTP of whoever calls: it gets a page of a closed table, a token, and the bytes of
an order, all of a bounded size. The token and the command table are judged on this side, as are a step's arguments, the
node that is meant, whose disks they are, and an image's digest.

What the split cannot do: all that Ironic says goes through that process. Once it was taken, it knows the token from the
first request on, and the key of the API. It can then order whatever Ironic could order of this node in this boot, keep
orders and answers back, read what Ironic sends (config drives, images' credentials), and call Ironic in our name. It
cannot reach memory, files or devices, run what is no row of the table, speak for another node, or go on once root has
shut the socket: at lockdown, once the machine is its owner's, and when it boots.

The socket that Ironic calls is opened here, held by systemd, and lent to that process, so that it outlives either: who
calls waits. A request that was under way when this process died is asked once more by the other, as the same: what was
begun is not begun again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol

from agent.api.ironic.desk import Answers
from agent.errors import AgentError
from agent.host.doors import Files
from agent.host.line import Line, dialled
from agent.host.room import Room
from agent.life.lives import API, Lives
from agent.model.fault import Fault
from agent.model.frozen import decode
from agent.model.ironic.asked import LARGEST_BODY_BYTES, Answered, Asked, Opening, Serving
from agent.program.log import Logger

LINES = 16
"""Requests that can be answered at a time. Those that wait for a command's end take one each, for up to 50 s."""
DOING = "answering Ironic through bms-agent-api"
SEND_S = 30.0
PIECE_S = 60.0
POLL_S = 0.2
AGAIN_S = 0.5
ENDED = Fault(code="API.ENDED", message="systemd knows how")

log = Logger("ironic")


class Serves(Protocol):
    """Whoever serves Ironic."""

    @property
    def fault(self) -> Fault | None:
        """Why nobody does at present."""
        ...

    def serve(self, alive: Callable[[], None]) -> None:
        """Until it is shut down. It says that it is `alive` several times a second. Raises what nobody foresaw."""
        ...

    def shutdown(self) -> None:
        """From another thread."""
        ...


class Relay:
    """`Serves` by the process behind a socket."""

    def __init__(self, path: str, serving: Serving, listening: socket.socket, desk: Answers) -> None:
        """The listening socket is lent."""
        self._path = path
        self._opening = Opening(serving=serving)
        self._listening = listening
        self._desk = desk
        self._ending = Event()
        self._room = Room(LARGEST_BODY_BYTES)
        """For the orders on all lines together: whoever took that process has no more of our memory than one."""
        self._lines: dict[int, Line] = {}
        self._died: list[BaseException] = []
        self._unreached: Fault | None = None
        self._ended: Fault | None = None

    @property
    def fault(self) -> Fault | None:
        """That it is not there, or that it ended again and again."""
        return self._unreached or self._ended

    def serve(self, alive: Callable[[], None]) -> None:
        """Until it is shut down."""
        for number in range(LINES):
            Thread(target=self._attend, args=(number,), name=f"api {number}", daemon=True).start()
        while not self._ending.wait(POLL_S):
            alive()
            if self._died:
                raise self._died[0]

    def shutdown(self) -> None:
        """What is under way is asked again by the other process, if there is a next one of ours."""
        self._ending.set()
        for line in tuple(self._lines.values()):
            line.close()

    def _attend(self, number: int) -> None:
        """One line, made anew whenever it broke."""
        try:
            while not self._ending.is_set():
                try:
                    self._answer(number)
                except AgentError as error:
                    if number == 0 and not self._ending.is_set():
                        self._unreached = Fault.of(error)
                        log.warning("nobody serves Ironic", error=str(error))
                self._ending.wait(AGAIN_S)
        except BaseException as error:  # noqa: BLE001 - `serve` raises it
            self._died.append(error)

    def _answer(self, number: int) -> None:
        """Until the other end hangs up. Raises `LinkError`, and `DecodeError` for what is no request."""
        opening, files = (self._opening, (self._listening.fileno(),)) if number == 0 else (Opening(), ())
        with dialled(self._path, DOING, body_bytes=LARGEST_BODY_BYTES, room=self._room) as line:
            self._lines[number] = line
            line.send(opening.model_dump_json().encode(), b"", SEND_S, files)
            if number == 0:
                self._unreached = None
            while not self._ending.is_set() and self._answered(line):
                pass

    def _answered(self, line: Line) -> bool:
        """Whether there was a request. Nothing of it is left in memory while the line is quiet."""
        piece = line.receive(PIECE_S, waits=True)
        if piece is None:
            return False
        asked = decode(Asked, piece[0], DOING)
        self._ended = Lives(ended=asked.ended, last=ENDED).fault(0.0, API) if asked.ended else None
        status, told = self._desk.answered(asked, piece[1])
        line.send(Answered(status=status).model_dump_json().encode(), told, SEND_S)
        return True


def front_of(files: Files, path: str) -> str | None:
    """Where the process listens that serves for us; None where there is none: by hand, in tests, in an older image."""
    if files.exists(path):
        log.info("Ironic is served by another process", socket=path)
        return path
    log.warning("Ironic is served by this very process: bms-agent-api.socket is not there", socket=path)
    return None


def served(socket_path: str | None, serving: Serving, listening: socket.socket, desk: Answers) -> Serves:
    """By that process, or by this one. The listening socket is lent."""
    if socket_path is not None:
        return Relay(socket_path, serving, listening, desk)
    from agent.api.ironic.server import Server, context  # only now: beside the other process, this one reads no HTTP

    return Server(listening, context(serving), desk)
