# SPDX-License-Identifier: Apache-2.0
"""HTTP server and background threads. What dies or hangs takes the process with it: systemd starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool

from agent import __version__
from agent.controller import log as logs
from agent.controller.app import create_app
from agent.controller.background import Work, background, watching
from agent.controller.context import Controller, open_controller
from agent.controller.flow.imports import convert_next, fetch_next
from agent.controller.flow.power import observe_power, serve_power
from agent.controller.flow.tick import sweep, tick
from agent.controller.options import Options, address_of, host_of
from agent.controller.peer import IDLE_S, Doorkeeper, watched
from agent.controller.tls import server_context
from agent.errors import ConfigError
from agent.life.lives import CONTROLLER, IMPORTER, Lives, Plain, live, stop_on_signals
from agent.life.sd_notify import Notifier
from agent.life.watch import SystemTime, Watch
from agent.program.log import Logger

TICK_S = 1.0
OBSERVE_S = 60.0
SWEEP_S = 3600.0
GRACE_S = 5
HANDSHAKE_S = 15.0
GOODBYE_S = 1.0
"""For the other side of a TLS connection to end it, too: an agent that is at work elsewhere does not."""
BACKLOG = 1024
LOOK_S = 0.5
TURN_S = 600.0
"""Of what looks at the database alone."""
ROUND_S = 3600.0
"""Of what asks every machine's BMC, or goes through all of the database."""
IMAGE_S = 25 * 3600.0
"""Of an image that is fetched over a slow line, or converted."""
SERVER_S = 120.0
"""The server turns ten times a second. Who ends it gives it `GRACE_S`."""
ASK_S = 10.0
ANSWER_S = 600.0
"""Of the threads that answer: somebody's turn comes within that, however many ask."""
LONGEST_PAUSE_S = 30.0
"""Before the next process begins: a fleet waits for it."""
OPEN_S = 3600.0
"""A database of an earlier release is brought up to date."""

log = Logger("controller")


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigError`."""
    logs.configure(options.log_level, options.log_format)
    os.umask(0o077)
    stop, notifier = stop_on_signals(), Notifier()

    def work(before: Lives) -> None:
        kind = CONTROLLER if options.serves else IMPORTER
        if (fault := before.fault(SystemTime().monotonic_s(), kind)) is not None:
            log.error(fault.message, code=fault.code, hint=fault.hint)
        with notifier.kept_alive(OPEN_S):
            controller = open_controller(options)
        if options.serves:
            serve(controller, works_of(options), notifier)
        else:
            _convert_only(controller, notifier)

    live(Plain(runtime_dir()), SystemTime(), stop, notifier, work, LONGEST_PAUSE_S)
    log.info("controller stopped")


def runtime_dir() -> Path | None:
    """That systemd has made for this process and those after it, as long as this boot lasts; None without systemd,
    where nobody starts it again."""
    name = os.environ.get("RUNTIME_DIRECTORY")
    return Path(name) if name else None


def serve(controller: Controller, works: tuple[Work, ...], notifier: Notifier) -> None:
    """The HTTP faces, and the background work around them. Raises what killed it."""
    options = controller.options
    listener = _listen(options.listen)
    watch = watching()
    server = Server(controller, watch, notifier=notifier)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)  # until uvicorn has its own, and when it raises it again at its end
    with background(controller, works, watch, notifier):
        log.info("controller serves", listen=options.listen, data=str(options.data), version=__version__)
        if options.ramdisk is None:
            log.warning("no ramdisk is configured: no machine can be taken in", hint="--ramdisk DIRECTORY")
        server.run(sockets=[listener, *([_listen(options.listen_tls)] if options.listen_tls else [])])


def _convert_only(controller: Controller, notifier: Notifier) -> None:
    """Imported images, and nothing else."""
    ended = Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        controller.wakeups.close()
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with background(controller, works_of(controller.options), watching(), notifier):
        notifier.ready("converting images")
        log.info("controller converts", data=str(controller.options.data), version=__version__)
        while not ended.wait(LOOK_S):
            pass  # a signal is handled between two waits


def works_of(options: Options) -> tuple[Work, ...]:
    """What goes on in the background."""
    serving: tuple[Work, ...] = (
        Work("tick", tick, TICK_S, TURN_S),
        Work("power", serve_power, TICK_S, ROUND_S),
        Work("observe", observe_power, OBSERVE_S, ROUND_S),
        Work("sweep", sweep, SWEEP_S, ROUND_S),
        Work("fetch", fetch_next, TICK_S, IMAGE_S),
    )
    converting = (Work("convert", convert_next, TICK_S, IMAGE_S),)
    return (*(serving if options.serves else ()), *(converting if options.converts else ()))


class Server(uvicorn.Server):
    """uvicorn, whose long polls are answered before it waits for them to end. Its access log would hold nonces."""

    def __init__(
        self,
        controller: Controller,
        watch: Watch | None = None,
        door: Doorkeeper | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(controller),
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # whoever calls from this machine, or through it, would be who they say
                ws="none",
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=int(IDLE_S),
            )
        )
        self._controller = controller
        self._tls = tls_of(controller)
        self._door = Doorkeeper() if door is None else door
        self._watch = watch or watching()
        self._notifier = notifier or Notifier({})
        self._asked: asyncio.Task[None] | None = None
        """Whether there are threads to answer with."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The first socket is for whoever comes in the clear, the second for TLS."""
        plain, *secured = sockets or []
        self.config.http_protocol_class = watched(self.config.http_protocol_class, self._door)
        await super().startup([plain])
        for one in secured:
            serving = await asyncio.get_running_loop().create_server(
                self._protocol,
                sock=one,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
                backlog=BACKLOG,
            )
            self.servers.append(serving)
        self._notifier.ready("serving")

    def _protocol(self) -> asyncio.Protocol:
        """Of one connection, as uvicorn makes it."""
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def on_tick(self, counter: int) -> bool:
        """Called once a turn: whether it shall end."""
        self._watch.hear("the server", SERVER_S)
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask())
        return await super().on_tick(counter)

    async def _ask(self) -> None:
        """The threads that answer, whether one is free."""
        self._watch.hear("the threads that answer", ASK_S + ANSWER_S)
        await run_in_threadpool(lambda: None)
        self._watch.let_go("the threads that answer")
        await asyncio.sleep(ASK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        self._controller.wakeups.close()
        super().handle_exit(sig, frame)


def tls_of(controller: Controller) -> ssl.SSLContext | None:
    """What agents are served with, if they are by TLS. Raises `ConfigError`."""
    if controller.authority is None:
        return None
    host = host_of(controller.options.url or "").strip("[]")
    names = (*([host] if host else []), socket.gethostname(), "localhost", "127.0.0.1")
    try:
        return server_context(controller.authority, controller.options.data, tuple(dict.fromkeys(names)))
    except OSError as error:
        raise ConfigError("preparing TLS", str(error)) from error


def _listen(where: str) -> socket.socket:
    """Bound here, so that a port that is taken is an error like any other."""
    try:
        host, port = address_of(where)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        hint = "Choose another address or port (--listen), or end what has it: ss -ltnp shows who."
        raise ConfigError(f"listening on {where}", os.strerror(error.errno or 0), hint=hint) from None
