# SPDX-License-Identifier: Apache-2.0
"""The process that fetches an image, unpacks it, and writes it to the disk that it was lent; it may do nothing else.

In: one order from root, over the socket that systemd holds. Out: how far it is, and what came of it. Then it ends: for
the next image there is another. It ends too when root hangs up. The order may also be to fetch what is no image: then
there is no disk, and what comes of it is bytes.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Lock, Thread

from agent.apply.fetch import pieces
from agent.apply.image import poured
from agent.apply.writer.wire import raised, said
from agent.errors import AgentError, HostError, InputError, LinkError, WriterDistrusted
from agent.host.doors import BlockDevice, Host
from agent.host.line import Line, accepted, close_all
from agent.life.sd_notify import Notifier
from agent.model.chunked import LARGEST_MANIFEST_BYTES
from agent.model.frozen import decode
from agent.model.url import named
from agent.model.writing import (
    Begin,
    Failed,
    Fetch,
    Fetched,
    FromWriter,
    Lent,
    Meant,
    Order,
    Ordered,
    Reach,
    Step,
    ToWriter,
    Wanted,
    Written,
)
from agent.program.log import Logger

SOCKET = "writer"
"""What systemd hands over, under that name."""
DOING = "writing an image for root"
FETCHING = "fetching for root"
FIRST_S = 60.0
PIECE_S = 60.0
ANSWER_S = 3600.0
"""Root makes the disk unable to boot: one that fails takes its time."""
BEAT_S = 0.5
LONGEST_S = 7 * 24 * 3600.0
"""Root sees how far it is, and gives up what does not get on: systemd only sees whether the process runs at all, also
before it has said a word to root, who could not know it.
"""

log = Logger("image")


def run(host: Host, notifier: Notifier) -> None:
    """One order, if one comes. Raises `InputError`."""
    listener = notifier.taken(SOCKET)
    if listener is None:
        raise InputError(DOING, "no socket was handed over", hint="systemd starts this: bms-agent-writer.socket")
    notifier.ready()
    with notifier.kept_alive(LONGEST_S):
        serve(listener, host, lambda: signal.raise_signal(signal.SIGTERM))


def serve(listener: socket.socket, host: Host, gone: Callable[[], None], trusts: Collection[int] | None = None) -> None:
    """Whoever calls first; `gone` is called where root has hung up."""
    listener.settimeout(FIRST_S)
    line = accepted(listener, DOING, trusts, body_bytes=LARGEST_MANIFEST_BYTES)
    if line is None:
        return
    with line:
        try:
            work(line, host, gone)
        except LinkError as error:
            log.warning("root is gone", error=str(error))


def work(line: Line, host: Host, gone: Callable[[], None]) -> None:
    """The order, to its end. Raises `LinkError` where the line breaks."""
    piece = line.receive_files(PIECE_S, 1)
    if piece is None:
        return
    head, body, files = piece
    try:
        ordered = decode(ToWriter, head, DOING).said
        if isinstance(ordered, Ordered) and files:
            order = decode(Order, body, DOING)
            host = reaching(host, order)
            log.info(f"writing an image as user {os.geteuid()}", disk=order.step.disk.path)
            borrower = Borrower(line, host, files[0], order.step.disk.path)
            with borrower.heard(gone):
                outcome = done(host, order, borrower)
            say(line, outcome)
        elif isinstance(ordered, Fetch):
            wanted = decode(Wanted, body, DOING)
            log.info(f"fetching for root as user {os.geteuid()}", url=named(wanted.url.get_secret_value()))
            fetch(reaching(host, wanted), wanted, line)
    finally:
        close_all(files)


def reaching(host: Host, reach: Reach) -> Host:
    """The host, whose network is reached so."""
    os.environ |= dict(reach.proxies.items())
    if reach.trusted.ca_pem is None and not reach.trusted.insecure:
        return host
    return replace(host, fetch=host.fetch.trusting(reach.trusted.ca_pem, insecure=reach.trusted.insecure))


def fetch(host: Host, wanted: Wanted, line: Line) -> None:
    """Piece by piece as it comes, and what came of it. Raises `LinkError` when root is gone."""
    got = pieces(host, wanted.url.get_secret_value(), wanted.most_bytes, wanted.access)
    while True:
        try:
            piece = next(got, b"")
        except AgentError as error:
            log.warning("not fetched", code=error.code, error=str(error))
            return say(line, said(error))
        except Exception as error:  # a fault of ours is told, too
            log.exception("not fetched")
            return say(line, said(HostError(FETCHING, f"unexpected {type(error).__name__}")))
        say(line, Fetched(), piece)
        if not piece:
            return None


def say(line: Line, told: Meant | Begin | Step | Written | Fetched | Failed, body: bytes = b"") -> None:
    """Raises `LinkError`."""
    line.send(FromWriter(said=told).model_dump_json().encode(), body, PIECE_S)


def done(host: Host, order: Order, borrower: Borrower) -> Written | Failed:
    """The work, and what came of it."""
    try:
        found = poured(host, order.step, borrower, borrower.advance)
        return Written.model_validate(found)
    except AgentError as error:
        log.warning("image not written", code=error.code, error=str(error))
        return said(error)
    except Exception as error:  # a fault of ours is told, too: who asked has the journal
        log.exception("image not written")
        return said(HostError(DOING, f"unexpected {type(error).__name__}"))


class Borrower:
    """`Lender` over the line."""

    def __init__(self, line: Line, host: Host, readable: int, path: str) -> None:
        self._line = line
        self._block = host.block
        self._readable = readable
        self._path = path
        self._turn = Lock()
        """Of whoever speaks; and, who asks, until the answer is there."""
        self._step = Step()
        self._lost: LinkError | None = None

    def tell(self, payload: bytes, signature: bytes | None) -> None:
        """See `Lender`."""
        self._ask(Meant(signature=signature), payload)

    @contextmanager
    def begin(self, head: bytes) -> Iterator[BlockDevice]:
        """See `Lender`."""
        descriptor = self._ask(Begin(), head)
        if descriptor is None:
            raise LinkError(DOING, "no disk came with the answer")
        with self._block.borrow(descriptor, self._path) as device:
            yield device

    @contextmanager
    def open_read(self) -> Iterator[BlockDevice]:
        """See `Lender`."""
        with self._block.borrow(os.dup(self._readable), self._path) as device:
            yield device

    def advance(self, done_bytes: int, total_bytes: int | None, limited_by: str | None = None, /) -> None:
        """It is told with the next beat. Raises `LinkError` when root is gone: nobody wants the image any more."""
        self._step = Step(done_bytes=done_bytes, total_bytes=total_bytes, limited_by=limited_by)
        if self._lost is not None:
            raise self._lost

    @contextmanager
    def heard(self, gone: Callable[[], None]) -> Iterator[None]:
        """How far it is, and that this process lives, every half second from beside."""
        over = Event()

        def beat() -> None:
            try:
                while not over.wait(BEAT_S):
                    with self._turn:
                        say(self._line, self._step)
            except LinkError as error:
                self._lost = error
                gone()

        thread = Thread(target=beat, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _ask(self, told: Meant | Begin, body: bytes) -> int | None:
        with self._turn:
            say(self._line, told, body)
            piece = self._line.receive_files(ANSWER_S, 1)
        if piece is None:
            raise LinkError(DOING, "root has hung up")
        answer = decode(ToWriter, piece[0], DOING).said
        if isinstance(answer, Failed):
            raise raised(answer)
        if not isinstance(answer, Lent):
            raise WriterDistrusted(DOING, "root makes no sense")
        return piece[2][0] if piece[2] else None
