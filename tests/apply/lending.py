# SPDX-License-Identifier: Apache-2.0
"""The process that writes images, for tests: in a thread, on a machine that is a fake; honest, mortal, or whatever a
test makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from agent.apply.writer.process import work
from agent.apply.writer.relay import relayed
from agent.errors import AgentError, LinkError
from agent.host.doors import Host
from agent.host.fake import Died, FakeHost, FaultPlan, Machine
from agent.host.line import Line, accepted, close_all
from agent.model.frozen import decode
from agent.model.image import ImageRef
from agent.model.job import Result
from agent.model.writing import Begin, FromWriter, Meant, Order, Step, ToWriter, Written
from tests.apply.writing import step_of
from tests.link.beside import listener

Served = Callable[[Line], None]
"""What a process makes of the line that it is called by."""
WAIT_S = 30.0
LONG_S = 10.0
"""For a process that says nothing."""


@contextmanager
def listening(*processes: Served) -> Iterator[str]:
    """One call is answered by each of these processes, in turn, all others by the last; the socket."""
    stop, waiting = Event(), list(processes)

    def serve() -> None:
        listens.settimeout(0.05)
        while not stop.is_set():
            line = accepted(listens, "listening")
            if line is not None:
                with line, suppress(AgentError, Died):
                    (waiting.pop(0) if len(waiting) > 1 else waiting[0])(line)

    with TemporaryDirectory(prefix="writer-") as folder, listener(Path(folder) / "socket") as listens:
        thread = Thread(target=serve, name="writer")
        thread.start()
        try:
            yield str(Path(folder) / "socket")
        finally:
            stop.set()
            thread.join(WAIT_S)
            assert not thread.is_alive()


def honest(made: Machine, faults: FaultPlan | None = None) -> Served:
    """As it is meant; on its side of the machine something may fail."""
    return lambda line: work(line, FakeHost.of(made, faults), lambda: None)


class Mortal(Line):
    """The end of one that dies at a piece, sent or received; without a number it lives, and counts."""

    def __init__(self, line: Line, at: int | None = None) -> None:
        self._line = line
        self._at = at
        self.pieces = 0

    def close(self) -> None:
        """As the other."""
        self._line.close()

    def send(self, head: bytes, body: bytes, within_s: float, files: Sequence[int] = ()) -> None:
        """Or not."""
        self._live()
        self._line.send(head, body, within_s, files)

    def receive_files(
        self, within_s: float, most: int, *, waits: bool = False
    ) -> tuple[bytes, bytes, tuple[int, ...]] | None:
        """Or not."""
        piece = self._line.receive_files(within_s, most, waits=waits)
        try:
            self._live()
        except LinkError:
            close_all(piece[2] if piece else ())
            raise
        return piece

    def _live(self) -> None:
        self.pieces += 1
        if self.pieces == self._at:
            self._line.close()
            raise LinkError("living", "killed")


def mortal(made: Machine, at: int | None, met: list[Mortal]) -> Served:
    """One that dies there."""

    def serve(line: Line) -> None:
        met.append(Mortal(line, at))
        work(met[-1], FakeHost.of(made), lambda: None)

    return serve


class Liar:
    """One that knows the words, and says what it likes."""

    def __init__(self, line: Line, made: Machine) -> None:
        self.line = line
        self.host: Host = FakeHost.of(made)
        piece = line.receive_files(WAIT_S, 1)
        assert piece is not None and len(piece[2]) == 1
        close_all(piece[2])
        self.order = decode(Order, piece[1], "reading an order")

    def say(self, told: Meant | Begin | Step | Written, body: bytes = b"") -> None:
        """To root."""
        self.line.send(FromWriter(said=told).model_dump_json().encode(), body, WAIT_S)

    def ask(self, told: Meant | Begin, body: bytes) -> tuple[str, int | None]:
        """The kind of root's answer, and the disk if it came along."""
        self.say(told, body)
        piece = self.line.receive_files(WAIT_S, 1)
        if piece is None:
            raise LinkError("asking", "hung up")
        return decode(ToWriter, piece[0], "asking").said.kind, piece[2][0] if piece[2] else None

    def write(self, descriptor: int | None, *pieces: tuple[int, bytes], keeps: Event | None = None) -> None:
        """To the disk that was lent; let go of at the end, or when the other lets it be."""
        assert descriptor is not None
        with self.host.block.borrow(descriptor, self.order.step.disk.path) as disk:
            for offset, data in pieces:
                disk.write(offset, data)
            disk.flush()
            if keeps is not None:
                keeps.wait(WAIT_S)


def written(size_bytes: int, sha256: str | None, **more: object) -> Written:
    """A result."""
    told = dict.fromkeys(("fetched", "written", "reused"), 1)
    shares = dict.fromkeys(("source", "verify", "decode", "disk"), 1)
    return Written.model_validate(
        {f"{name}_bytes": value for name, value in told.items()}
        | {f"{name}_percent": value for name, value in shares.items()}
        | {"image_bytes": size_bytes, "sha256": sha256, "limited_by": "the disk, 1 MB/s"}
        | more
    )


def tell(*_: object) -> None:
    """Nobody looks."""


def write(made: Machine, image: ImageRef, *processes: Served, advance: Any = tell, **changes: Any) -> Result:
    """Root's part, with these processes."""
    with listening(*processes) as socket:
        return relayed(FakeHost.of(made), step_of(made, image, **changes), socket, advance, LONG_S)
