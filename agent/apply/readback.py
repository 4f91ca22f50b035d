# SPDX-License-Identifier: Apache-2.0
"""Reading the medium back: what was written there, in whatever order and by how many threads, is what is there.

Each grain of data adds SHA-256 of its place and content to the sum of its region (modulo 2^256), and a grain of zeroes
adds nothing. So two sums tell whether all of a region is as it was meant, holes included, and memory is one number a
region. It is proof against chance, not against somebody who chooses the disk's content: the digest was for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Lock

from agent.apply.crew import Crew
from agent.apply.meter import Meter, Stage
from agent.apply.target import is_hole
from agent.errors import NotAsObserved
from agent.host.doors import BlockDevice, Clock
from agent.host.memory import aligned
from agent.model.disk import MIB
from agent.model.job import Advance, Result

REGION_BYTES = 256 * MIB
PIECE_BYTES = MIB
READERS = 2
MODULUS = 1 << 256


class Sums:
    """What should be on the disk."""

    def __init__(self, grain_bytes: int) -> None:
        self._grain_bytes = grain_bytes
        self._lock = Lock()
        self._sum_of: dict[int, int] = {}

    def add(self, offset_bytes: int, view: memoryview) -> None:
        """Data from a whole grain on; it may contain zeroes, and what is missing of its last grain is zero."""
        region, total = offset_bytes // REGION_BYTES, 0
        for at in range(0, len(view), self._grain_bytes):
            grain = view[at : at + self._grain_bytes]
            if (offset_bytes + at) // REGION_BYTES != region:
                self._count(region, total)
                region, total = (offset_bytes + at) // REGION_BYTES, 0
            if not is_hole(grain):
                digest = hashlib.sha256((offset_bytes + at).to_bytes(8, "little"))
                digest.update(grain)
                digest.update(bytes(self._grain_bytes - len(grain)))
                total += int.from_bytes(digest.digest(), "little")
        self._count(region, total)

    def of(self, region: int) -> int:
        """The sum of a region."""
        return self._sum_of.get(region, 0)

    def like(self) -> Sums:
        """Empty, with the same grains."""
        return Sums(self._grain_bytes)

    def _count(self, region: int, total: int) -> None:
        with self._lock:
            self._sum_of[region] = (self._sum_of.get(region, 0) + total) % MODULUS


class Readback:
    """Reads a disk from `start` to `end`, whole regions at a time."""

    def __init__(self, disk: BlockDevice, start: int, end: int, sums: Sums, doing: str) -> None:
        self._disk = disk
        self._start = start
        self._end = end
        self._sums = sums
        self._doing = doing
        self._lock = Lock()
        self._coming = iter(range(start // REGION_BYTES, -(-end // REGION_BYTES)))
        self._done_bytes = 0

    def run(self, clock: Clock, meter: Meter, advance: Advance) -> Result:
        """Raises `NotAsObserved` for the first region that is not as it should be."""
        began_s, crew, total = clock.monotonic_s(), Crew(), self._end - self._start

        def read() -> None:
            memory = aligned(PIECE_BYTES)
            while (region := self._next()) is not None:
                self._read(region, memory, meter, crew.check)

        duties = {f"disk-reader-{number}": read for number in range(READERS)}
        crew.run(duties, lambda: advance(self._done_bytes, total, "reading the disk back"))
        return {"verified_bytes": total, "verify_ms": round((clock.monotonic_s() - began_s) * 1000)}

    def _next(self) -> int | None:
        with self._lock:
            return next(self._coming, None)

    def _read(self, region: int, memory: memoryview, meter: Meter, check: Callable[[], None]) -> None:
        start, end = max(region * REGION_BYTES, self._start), min((region + 1) * REGION_BYTES, self._end)
        found = self._sums.like()
        for at in range(start, end, PIECE_BYTES):
            check()
            view = memory[: min(PIECE_BYTES, end - at)]
            with meter.busy(Stage.DISK):
                self._disk.read_into(at, view)
            with meter.busy(Stage.VERIFY):
                found.add(at, view)
            with self._lock:
                self._done_bytes += len(view)
        if found.of(region) != self._sums.of(region):
            told = f"what is between byte {start} and {end} is not what was written there"
            raise NotAsObserved(self._doing, told)
