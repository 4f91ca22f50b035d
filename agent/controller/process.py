# SPDX-License-Identifier: Apache-2.0
"""HTTP server and background threads. A thread that dies takes the process with it: systemd starts it again."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import FrameType

import structlog
import uvicorn

from agent import __version__
from agent.controller import log as logs
from agent.controller.app import create_app
from agent.controller.context import Controller, open_controller
from agent.controller.flow.imports import convert_next, fetch_next
from agent.controller.flow.power import observe_power, serve_power
from agent.controller.flow.tick import sweep, tick
from agent.controller.options import Options
from agent.errors import ConfigError

TICK_S = 1.0
OBSERVE_S = 60.0
SWEEP_S = 3600.0
GRACE_S = 5
KEEP_ALIVE_S = 75
"""A node asks for one range after the other, with pauses in which its disk is slower than we are."""
BACKLOG = 1024
LOOK_S = 0.5

Work = tuple[str, Callable[[Controller], None], float]

log = structlog.get_logger("controller")


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigError`."""
    logs.configure(options.log_level, options.log_format)
    os.umask(0o077)
    controller = open_controller(options)
    if options.serves:
        _serve(controller)
    else:
        _convert_only(controller)
    log.info("controller stopped")


def _serve(controller: Controller) -> None:
    """The HTTP faces, and the background work around them."""
    options = controller.options
    listener = _listen(options)
    server = Server(controller)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)  # until uvicorn has its own, and when it raises it again at its end
    with _background(controller, works_of(options)):
        log.info("controller serves", listen=options.listen, data=str(options.data), version=__version__)
        if options.ramdisk is None:
            log.warning("no ramdisk is configured: no machine can be taken in", hint="--ramdisk DIRECTORY")
        server.run(sockets=[listener])


def _convert_only(controller: Controller) -> None:
    """Imported images, and nothing else."""
    ended = Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        controller.wakeups.close()
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with _background(controller, works_of(controller.options)):
        log.info("controller converts", data=str(controller.options.data), version=__version__)
        while not ended.wait(LOOK_S):
            pass  # a signal is handled between two waits


def works_of(options: Options) -> tuple[Work, ...]:
    """What goes on in the background: name, what, and the pause between two times."""
    serving: tuple[Work, ...] = (
        ("tick", tick, TICK_S),
        ("power", serve_power, TICK_S),
        ("observe", observe_power, OBSERVE_S),
        ("sweep", sweep, SWEEP_S),
        ("fetch", fetch_next, TICK_S),
    )
    return (*(serving if options.serves else ()), *([("convert", convert_next, TICK_S)] if options.converts else []))


@contextmanager
def _background(controller: Controller, works: tuple[Work, ...]) -> Iterator[None]:
    """Threads beside this one. The first that dies ends the process, with its error."""
    stop = Event()
    died: list[BaseException] = []
    threads = [
        Thread(target=_every, name=name, args=(work, controller, period_s, stop, died))
        for name, work, period_s in works
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        controller.wakeups.close()
        for thread in threads:
            thread.join()
        controller.store.close()
    if died:
        raise died[0]


class Server(uvicorn.Server):
    """uvicorn, whose long polls are answered before it waits for them to end. Its access log would hold nonces."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(controller),
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._controller = controller

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        self._controller.wakeups.close()
        super().handle_exit(sig, frame)


def _listen(options: Options) -> socket.socket:
    """Bound here, so that a port that is taken is an error like any other."""
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        return socket.create_server((options.host, options.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"listening on {options.listen}", str(error)) from error


def _every(
    work: Callable[[Controller], None],
    controller: Controller,
    period_s: float,
    stop: Event,
    died: list[BaseException],
) -> None:
    """Again and again until stopped; what ends it is kept for the main thread."""
    try:
        while not stop.wait(period_s):
            work(controller)
    except BaseException as error:
        log.exception("background thread died")
        died.append(error)
        signal.raise_signal(signal.SIGTERM)
