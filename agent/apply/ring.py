# SPDX-License-Identifier: Apache-2.0
"""A ring of buffers: the reader fills them with the file, several threads use each side by side, then it is free again.

In: a `Reader`. Out: the file in slots, in order, to every lane. Memory is that of the slots, whatever the file is; a
reader that is ahead waits for a free one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from agent.apply.crew import Crew, Lane
from agent.apply.source import Reader
from agent.host.doors import Clock
from agent.host.memory import aligned

EMPTY = memoryview(b"")


class Slot:
    """A piece of the file in aligned memory. `view` is the piece, `offset_bytes` its place in the file."""

    def __init__(self, memory: memoryview, free: Callable[[Slot], None]) -> None:
        self.memory = memory
        self.view = memory
        self.offset_bytes = 0
        self._free = free
        self._lock = Lock()
        self._users = 0

    def filled(self, offset_bytes: int, length_bytes: int, users: int) -> None:
        """New content for so many users."""
        self.offset_bytes, self.view, self._users = offset_bytes, self.memory[:length_bytes], users

    @property
    def end_bytes(self) -> int:
        """Where in the file the piece ends."""
        return self.offset_bytes + len(self.view)

    def hold(self) -> None:
        """One user more; by one who has it in use."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One user less; the last gives it back."""
        with self._lock:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._free(self)


class Ring:
    """`count` slots of `slot_bytes`, and a lane for each user of the file, which ends with None."""

    def __init__(self, crew: Crew, count: int, slot_bytes: int, users: int) -> None:
        self.lanes: tuple[Lane[Slot | None], ...] = tuple(Lane(crew) for _ in range(users))
        self.done_bytes = 0
        self.settled_bytes = 0
        """What of the file's beginning nobody uses any more: what was to be done with it is done."""
        self._lock = Lock()
        self._settled: dict[int, int] = {}
        self._free: Lane[Slot] = Lane(crew)
        for _ in range(count):
            self._free.put(Slot(aligned(slot_bytes), self._settle))

    def fill(self, reader: Reader) -> None:
        """Read the file to its end."""
        is_over = False
        while not is_over:
            slot = self._free.get()
            got = reader.fill(slot.memory)
            is_over = got < len(slot.memory)
            if got:
                slot.filled(self.done_bytes, got, len(self.lanes))
                self.done_bytes += got
                for lane in self.lanes:
                    lane.put(slot)
        for lane in self.lanes:
            lane.put(None)

    def _settle(self, slot: Slot) -> None:
        with self._lock:
            self._settled[slot.offset_bytes] = slot.end_bytes
            while self.settled_bytes in self._settled:
                self.settled_bytes = self._settled.pop(self.settled_bytes)
        self._free.put(slot)


class Feed:
    """The file for one user, slot by slot. `waited_s` is how long it waited for them."""

    def __init__(self, lane: Lane[Slot | None], clock: Clock) -> None:
        self._lane = lane
        self._clock = clock
        self._slot: Slot | None = None
        self._is_peeked = False
        self._is_over = False
        self.waited_s = 0.0

    def peek(self) -> memoryview:
        """What `read` gives next."""
        if not self._is_peeked:
            self._advance()
            self._is_peeked = True
        return self._slot.view if self._slot is not None else EMPTY

    def read(self, _size_bytes: int = -1) -> memoryview:
        """The next piece, whatever its size; empty at the file's end. What was read before is given back."""
        view = self.peek()
        self._is_peeked = False
        return view

    def take(self) -> Slot | None:
        """The next piece with its slot, which who takes it has to release; None at the file's end."""
        self.peek()
        slot, self._slot, self._is_peeked = self._slot, None, False
        return slot

    def drain(self) -> None:
        """Let the rest pass unused."""
        while self.read():
            pass

    def _advance(self) -> None:
        if self._slot is not None:
            self._slot.release()
            self._slot = None
        if self._is_over:
            return
        began_s = self._clock.monotonic_s()
        self._slot = self._lane.get()
        self._is_over = self._slot is None
        self.waited_s += self._clock.monotonic_s() - began_s
