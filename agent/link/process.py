# SPDX-License-Identifier: Apache-2.0
"""The process that speaks to the controller, ours or Ironic, and may do nothing else: no root, no capability, no
device, no file.

In: calls from root, over the socket that systemd holds, each a row of `agent.model.call.CALLS` or, on a line that was
opened for Ironic, of `agent.model.ironic.call.CALLS`. Out: what came of it, as bytes. It knows nobody's key but those
that connections are opened by, opens no file, and keeps nothing: it may be killed and started again at any moment.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Thread, get_ident
from typing import Any, Generic, TypeVar

from pydantic import RootModel

from agent.errors import AgentError, ConfigError, InputError, LinkError
from agent.host.line import Line, accepted
from agent.life.lives import LINK, Lives, Memory, live
from agent.life.sd_notify import Notifier
from agent.life.watch import LoopStuck, SystemTime, Watch, doom
from agent.link.direct import Direct
from agent.link.ironic.direct import Direct as IronicDirect
from agent.link.relay import WHOLE_S, told
from agent.model.call import Answer, Call, Opening, Outcome
from agent.model.frozen import decode
from agent.model.ironic import call as ironic
from agent.model.ironic.call import Whom
from agent.program.log import Logger

SOCKET = "link"
"""What systemd hands over, under that name."""
DOING = "serving root"
TICK_S = 1.0
MOST = 32
"""Calls side by side. Root has one line for each of its loops, and one for each command at the console."""
PIECE_S = 30.0
MADE_S = WHOLE_S + 60.0
"""Beside its waiting, a call takes less: by then whoever asked for it has long hung up, and its room is taken."""

log = Logger("link")


class CallStuck(LoopStuck):
    """A call has no end."""

    code = "LINK.STUCK"


def run(notifier: Notifier, stop: Event) -> None:
    """Until stopped, or killed, which costs the calls under way and nothing else. Raises `InputError`, `LoopStuck`."""
    listener = notifier.taken(SOCKET)
    if listener is None:
        raise InputError(
            "speaking to the controller", "no socket was handed over", hint="systemd starts this: bms-agent-link.socket"
        )
    live(Memory(notifier), SystemTime(), stop, notifier, lambda before: serve(listener, notifier, stop, before=before))


def serve(
    listener: socket.socket,
    notifier: Notifier,
    stop: Event,
    trusts: Collection[int] | None = None,
    before: Lives | None = None,
    made_s: float = MADE_S,
) -> None:
    """Until stopped: a thread for each line. `before`: how those before this process ended. Raises `LoopStuck`."""
    room = BoundedSemaphore(MOST)
    desk = Desk(Watch(SystemTime(), CallStuck), before or Lives(), made_s)
    listener.settimeout(TICK_S)
    notifier.ready("speaking to the controller for root")
    while not stop.is_set():
        if stuck := desk.watch.silent():
            doom()
            raise stuck[0]
        notifier.watchdog()
        if not room.acquire(timeout=TICK_S):
            continue
        line = accepted(listener, DOING, trusts)
        if line is None:
            room.release()
        else:
            Thread(target=converse, args=(line, room, desk), name="line", daemon=True).start()


@dataclass(frozen=True)
class Desk:
    """What all lines have in common."""

    watch: Watch
    before: Lives
    made_s: float

    def ended(self) -> int:
        """How many processes in a row ended before this one, until it has lived long enough."""
        return self.before.ended if self.before.fault(self.watch.time.monotonic_s(), LINK) is not None else 0

    @contextmanager
    def watched(self, wait_s: float) -> Iterator[None]:
        """A call that waits so long."""
        name = f"a call (thread {get_ident()})"
        self.watch.hear(name, self.made_s + wait_s)
        try:
            yield
        finally:
            self.watch.let_go(name)


def converse(line: Line, room: BoundedSemaphore, desk: Desk) -> None:
    """Call after call, until the other end hangs up or says what is no call."""
    try:
        with line:
            first = line.receive(PIECE_S)
            if first is None:
                return
            way = opened(*first)
            while (piece := line.receive(PIECE_S, waits=True)) is not None:
                if line.is_left:  # it came late to its turn: what is given once (a token) would be given to nobody
                    log.warning("a call is not made: whoever asked for it has gone")
                    return
                outcome, body = way(desk, *piece)
                outcome = outcome.model_copy(update={"ended": desk.ended()})
                line.send(outcome.model_dump_json(exclude_defaults=True).encode(), body, PIECE_S)
    except AgentError as error:
        log.warning("hung up", error=str(error))
    finally:
        room.release()


class First(RootModel[Opening | Whom]):
    """On each line: who is called on it."""


def opened(head: bytes, body: bytes) -> Way[Any]:
    """How calls on this line are made. Raises `DecodeError`."""
    opening = decode(First, head, DOING).root
    if isinstance(opening, Whom):
        told = decode(ironic.Opening, body, DOING)
        return Way(ironic.Call, IronicDirect(told).exchange, told.longest_s)
    wire = Direct(opening.url, opening.ca)
    wire.show(opening.shown.get_secret_value() if opening.shown is not None else None)
    return Way(Call, wire.exchange, lambda call: call.wait_s)


Kind = TypeVar("Kind", bound=Call | ironic.Call)


class Way(Generic[Kind]):
    """To whoever is called on one line."""

    def __init__(
        self,
        kind: type[Kind],
        exchange: Callable[[Kind, bytes], tuple[Answer, bytes]],
        wait_s: Callable[[Kind], float],
    ) -> None:
        self._kind = kind
        self._exchange = exchange
        self._wait_s = wait_s

    def __call__(self, desk: Desk, head: bytes, body: bytes) -> tuple[Outcome, bytes]:
        """The call, and what came of it. Raises `InputError`, `DecodeError` for what is no call of ours."""
        call = decode(self._kind, head, DOING)
        if (refusal := call.refusal(len(body))) is not None:
            raise InputError(DOING, refusal)
        with desk.watched(self._wait_s(call)):
            return made(lambda: self._exchange(call, body))


def made(exchange: Callable[[], tuple[Answer, bytes]]) -> tuple[Outcome, bytes]:
    """What came of it."""
    try:
        answer, content = exchange()
    except (LinkError, ConfigError) as error:
        return Outcome(failed=told(error)), b""
    return Outcome(answer=answer), content
