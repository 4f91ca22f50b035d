# SPDX-License-Identifier: Apache-2.0
"""The process that Ironic calls, and that may do nothing else: no root, no capability, no device, no file.

In: from root, over the socket that systemd holds, the socket that Ironic calls, with certificate and key for it; then
requests, over TLS. Out: each of them, as a row of `agent.model.ironic.asked`, to root, which judges and answers. Until
an answer has come the request is kept: if root's process dies, the next one is asked the same.

It decides nothing and keeps nothing else: it may be killed and started again at any moment.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Collection
from threading import Condition, Event, Lock, Thread

from agent.api.ironic.refusal import Refusal
from agent.api.ironic.server import Server, context
from agent.errors import AgentError, InputError, LinkError
from agent.host.line import Line, accepted, close_all
from agent.life.lives import API, Lives
from agent.life.sd_notify import Notifier
from agent.model.frozen import decode
from agent.model.ironic.asked import LARGEST_BODY_BYTES, Answered, Asked, Opening
from agent.program.log import Logger

SOCKET = "api"
"""What systemd hands over, under that name."""
DOING = "serving Ironic for root"
TICK_S = 1.0
PIECE_S = 60.0
PATIENCE_S = 50.0
"""From a request to the line that it is asked on, for the last time: Ironic waits 60 s ([agent]command_timeout)."""
MOST_DEATHS = 2
"""Of root's process, while it had one and the same request: who asks once more may be who kills it."""
AWAY = Refusal(503, "503 Service Unavailable: the agent is being started again")

log = Logger("ironic")


class Root:
    """`server.Answers`: the way to whoever judges, by lines that root has opened, each for one request at a time."""

    def __init__(self, patience_s: float = PATIENCE_S, before: Lives | None = None) -> None:
        """`before`: how those before this process ended."""
        self._patience_s = patience_s
        self._before = before or Lives()
        self._came = Condition()
        self._free: list[Line] = []
        self._is_over = False

    def forget(self) -> None:
        """The lines of an earlier process. Those of the present one are opened again."""
        with self._came:
            before, self._free, self._is_over = self._free, [], False
        for line in before:
            line.close()

    def end(self) -> None:
        """It has no more to say: nobody waits for it."""
        with self._came:
            self._is_over = True
            self._came.notify_all()

    def add(self, line: Line) -> None:
        """One more, or one that is free again."""
        with self._came:
            self._free.append(line)
            self._came.notify()

    def answered(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """Status, and JSON."""
        ends_s, deaths = time.monotonic() + self._patience_s, 0
        if self._before.fault(time.monotonic(), API) is not None:  # root tells of it, until this one has lived long
            asked = asked.model_copy(update={"ended": self._before.ended})
        while deaths <= MOST_DEATHS and (line := self._taken(ends_s - time.monotonic())) is not None:
            try:
                line.send(asked.model_dump_json().encode(), body, PIECE_S)
            except LinkError:  # it was broken since long
                continue
            try:
                found = line.receive(PIECE_S, waits=True)
                if found is None:
                    raise LinkError(DOING, "root hung up")
                status = decode(Answered, found[0], DOING).status
            except AgentError as error:
                line.close()
                deaths += 1
                log.warning("asking once more", page=asked.page.value, error=str(error))
                continue
            self.add(line)
            return status, found[1]
        return AWAY.status, json.dumps(AWAY.body).encode()

    def _taken(self, within_s: float) -> Line | None:
        """The newest: the others may be those of a process that is no more."""
        with self._came:
            self._came.wait_for(lambda: self._free or self._is_over, max(0.0, within_s))
            return self._free.pop() if self._free else None


class Front:
    """What is served at present."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._lock = Lock()
        self._server: Server | None = None
        self.died: list[BaseException] = []

    def open(self, line: Line) -> None:
        """A line's beginning: who has opened it may lend the socket that Ironic calls, and is asked from now on."""
        try:
            found = line.receive_files(PIECE_S, 1)
            if found is None:
                line.close()
                return
            self._open(decode(Opening, found[0], DOING), found[2])
        except AgentError as error:
            log.warning("hung up", error=str(error))
            line.close()
            return
        self._root.add(line)

    def _open(self, opening: Opening, files: tuple[int, ...]) -> None:
        """Raises `InputError`."""
        if opening.serving is None or not files:
            close_all(files)
            if opening.serving is not None:
                raise InputError(DOING, "no socket came along")
            return
        listening = socket.socket(fileno=files[0])
        try:
            self._serve(Server(listening, context(opening.serving), self._root))
        except (OSError, ValueError) as error:
            listening.close()
            raise InputError(DOING, f"what came along is no use: {type(error).__name__}") from error

    def _serve(self, server: Server) -> None:
        """In place of what was served before."""
        self.close()
        self._root.forget()
        with self._lock:
            self._server = server
        Thread(target=self._served, args=(server,), name="api", daemon=True).start()

    def _served(self, server: Server) -> None:
        """Until the next one serves, or root has shut the socket. What is under way comes to its end."""
        log.info("serving", port=server.server_port)
        try:
            server.serve(lambda: None)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.died.append(error)
        server.server_close()
        with self._lock:
            is_over = self._server is server
            self._server = None if is_over else self._server
        if is_over:
            self._root.end()

    def close(self) -> None:
        """All of it."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()


def run(notifier: Notifier, stop: Event) -> None:
    """Until stopped, or killed, which costs the requests under way and nothing else. Raises `InputError`."""
    listener = notifier.taken(SOCKET)
    if listener is None:
        raise InputError(
            "serving Ironic", "no socket was handed over", hint="systemd starts this: bms-agent-api.socket"
        )
    serve(listener, notifier, stop)


def serve(
    listener: socket.socket,
    notifier: Notifier,
    stop: Event,
    trusts: Collection[int] | None = None,
    root: Root | None = None,
) -> None:
    """Until stopped: root opens lines, Ironic calls."""
    front = Front(root or Root())
    listener.settimeout(TICK_S)
    notifier.ready("serving Ironic for root")
    while not stop.is_set():
        notifier.watchdog()
        if front.died:
            raise front.died[0]
        line = accepted(listener, DOING, trusts, body_bytes=LARGEST_BODY_BYTES)
        if line is not None:
            Thread(target=front.open, args=(line,), name="line", daemon=True).start()
    front.close()
