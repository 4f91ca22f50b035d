# SPDX-License-Identifier: Apache-2.0
"""Root's side: an order to the process that writes images, and what comes of it, which is believed as far as `judge`
can tell. A process that dies, or is silent, is asked for anew, which goes on where the other was; one that says what
cannot be so is not. It ends when it is hung up on; one that does not is killed. Whatever it does, its disk cannot boot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event
from typing import Self, assert_never

from agent.apply.lender import doing_of
from agent.apply.writer.judge import Judge
from agent.apply.writer.wire import raised, said
from agent.errors import (
    AgentError,
    DecodeError,
    DiskInUse,
    HostError,
    LinkError,
    PreconditionError,
    WriterDistrusted,
    WriterFailed,
)
from agent.host.doors import BlockDevice, Files, Host
from agent.host.line import Line, dialled
from agent.host.speaker import Speaker
from agent.model.chunked import LARGEST_MANIFEST_BYTES
from agent.model.frozen import decode
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage
from agent.model.writing import (
    PROXIES,
    Begin,
    Failed,
    Fetch,
    Fetched,
    FromWriter,
    Lent,
    Meant,
    Order,
    Ordered,
    Step,
    ToWriter,
    Written,
)
from agent.program.log import Logger
from agent.program.printable import on_one_line

ATTEMPTS = 3
SEND_S = 60.0
SILENT_S = 120.0
"""It says every half second that it lives; but a machine under load may be slow to start one."""
HUNG_UP_S, KILLED_S = 2.0, 5.0
"""So soon it has ended."""
LET_GO_TRIES, LET_GO_S = 50, 0.1
MOST_FALLS = 64
"""So often may it begin anew: with each server, and to read back."""

log = Logger("image")


def relayed(host: Host, step: WriteImage, socket: str, advance: Advance, silent_s: float = SILENT_S) -> Result:
    """All of an image, by the process behind that socket. Raises as `write_image` does; `WriterFailed`,
    `WriterDistrusted`."""
    judge = Judge(host, step)
    judge.look()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with Conversation(host, step, judge, socket, advance, silent_s) as conversation:
                written = conversation.run()
                with taken_back(host, step) as disk:
                    found = judge.judge(written, disk, advance)
            return written.result | found | judge.hand_on()
        except WriterFailed as error:
            make_unbootable_again(host, step, judge)
            if attempt == ATTEMPTS:
                raise
            log.warning("writing the image was interrupted: once more", error=str(error))
            step = step.model_copy(update={"resumed": step.resumed or bool(judge.head)})
            judge = judge.once_more(step)
        except BaseException:
            make_unbootable_again(host, step, judge)
            raise
    raise AssertionError("the last attempt returns or raises")


class Conversation:
    """One line, one order."""

    def __init__(
        self, host: Host, step: WriteImage, judge: Judge, socket: str, advance: Advance, silent_s: float
    ) -> None:
        self._host = host
        self._step = step
        self._judge = judge
        self._socket = socket
        self._advance = advance
        self._silent_s = silent_s
        self._doing = f"{doing_of(step)} through {socket}"
        self._done_bytes = 0
        self._falls = 0
        self._line: Line | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Who was at the other end has no hold of the disk any more, where anything went wrong."""
        if self._line is None or self._line.speaker is None:
            return
        if error is None:
            self._line.speaker.close()
        else:
            rid_of(self._line.speaker, "wrote the image")

    def run(self) -> Written:
        """To its end. Raises as `relayed` does; the line and the disk are closed then."""
        with ExitStack() as stack:
            try:
                line = self._line = stack.enter_context(
                    dialled(self._socket, self._doing, body_bytes=LARGEST_MANIFEST_BYTES, asks_who=True)
                )
                with self._judge.open_read() as device:
                    lent = self._host.block.lend(device)
                    line.send(head_of(Ordered()), self._order().model_dump_json().encode(), SEND_S, (lent,))
                return self._served(line, stack.enter_context(ExitStack()))
            except LinkError as error:
                if error.doing != self._doing:  # of an image's server, or of what `advance` does
                    raise
                raise WriterFailed(self._doing, error.evidence) from error

    def _order(self) -> Order:
        """`verify` is done by who can judge it."""
        verify = self._step.verify and not self._judge.reads_back
        return Order.model_validate(
            {
                "step": self._step.model_copy(update={"verify": verify}),
                "trusted": self._host.fetch.trusted,
                "proxies": proxies(),
            }
        )

    def _served(self, line: Line, disk: ExitStack) -> Written:
        """What it asks for, until it says that it is done."""
        while (piece := line.receive(self._silent_s)) is not None:
            try:
                told = decode(FromWriter, piece[0], self._doing).said
            except DecodeError as error:
                raise WriterDistrusted(self._doing, f"that process makes no sense: {error.evidence}") from error
            match told:
                case Step():
                    self._judge_step(told)
                    self._advance(told.done_bytes, told.total_bytes, on_one_line(told.limited_by or "") or None)
                case Meant() | Begin():
                    self._answer(line, disk, told, piece[1])
                case Written():
                    return told.model_copy(update={"limited_by": on_one_line(told.limited_by)})
                case Failed():
                    raise raised(told)
                case Fetched():
                    raise WriterDistrusted(self._doing, "it fetched what nobody asked for")
                case _:
                    assert_never(told)
        raise WriterFailed(self._doing, "that process ended, or hung up")

    def _answer(self, line: Line, disk: ExitStack, told: Meant | Begin, body: bytes) -> None:
        """A refusal goes to who asked: another server may have the right image."""
        try:
            if isinstance(told, Meant):
                self._judge.tell(body, told.signature)
                return line.send(head_of(Lent()), b"", SEND_S)
            disk.close()  # of a beginning before this one
            device = disk.enter_context(self._judge.begin(body))
        except WriterDistrusted:
            raise
        except AgentError as error:
            return line.send(head_of(said(error)), b"", SEND_S)
        return line.send(head_of(Lent()), b"", SEND_S, (self._host.block.lend(device),))

    def _judge_step(self, told: Step) -> None:
        self._falls += told.done_bytes < self._done_bytes
        self._done_bytes = told.done_bytes
        if told.done_bytes > (told.total_bytes or told.done_bytes) or self._falls > MOST_FALLS:
            raise WriterDistrusted(self._doing, f"it is at {told.done_bytes} of {told.total_bytes} bytes")


def rid_of(speaker: Speaker | None, did: str) -> None:
    """Of who was hung up on, and ends then; or else is killed. Who is not known is left alone."""
    if speaker is None:
        return
    with speaker as process:
        if process.has_ended(HUNG_UP_S):
            return
        log.warning(f"killing the process that {did}: it was hung up on, and has not ended")
        if not process.kill(KILLED_S):
            log.error(f"the process that {did} could not be killed")


def proxies() -> dict[str, str]:
    """Of this process's environment."""
    environment = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES}
    return {name: proxy for name, proxy in environment.items() if proxy}


def head_of(told: Ordered | Fetch | Lent | Failed) -> bytes:
    """Of a piece."""
    return ToWriter(said=told).model_dump_json().encode()


@contextmanager
def taken_back(host: Host, step: WriteImage) -> Iterator[BlockDevice]:
    """The disk, once whoever had it has let it go. Raises `WriterDistrusted` if he does not."""
    with ExitStack() as stack:
        for left in reversed(range(LET_GO_TRIES)):
            try:
                device = stack.enter_context(host.block.open_exclusive(step.disk.path))
                break
            except DiskInUse as error:
                if not left:
                    raise WriterDistrusted(doing_of(step), "somebody has not let go of the disk") from error
                host.clock.wait(Event(), LET_GO_S)
        yield device


def make_unbootable_again(host: Host, step: WriteImage, judge: Judge) -> None:
    """Whatever was written there by who was not to."""
    if not judge.head:  # the disk was never lent, and is as it was
        return
    with suppress(HostError, PreconditionError):
        with taken_back(host, step) as disk:
            disk.zero(0, step.hold_back_bytes)
            disk.flush()
        return
    log.error("the disk could not be zeroed again", disk=step.disk.path)


def socket_of(files: Files, path: str) -> str | None:
    """Where the process is asked for that writes images; None where there is none: by hand, in tests, in an older
    image."""
    if files.exists(path):
        log.info("images are written by another process", socket=path)
        return path
    log.warning("images are written by this very process: bms-agent-writer.socket is not there", socket=path)
    return None
