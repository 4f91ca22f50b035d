# SPDX-License-Identifier: Apache-2.0
"""Where the time of a write goes, by stage, and so what limits it: live while it runs, and for the report.

A thread says what it is busy with (`with meter.busy(Stage.DISK, size)`); what is not said is waiting for another
stage. The stage that was busy the longest, for each thread that it has, is the one to make faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from threading import Lock, get_ident
from typing import assert_never

from agent.errors import HostError
from agent.host.doors import Clock, Files, Host
from agent.model.job import NO_ANSWER, SILENT_S, Result

MB = 1000**2


class Stage(StrEnum):
    """What a thread can be busy with."""

    SOURCE = "source"
    VERIFY = "verify"
    DECODE = "decode"
    DISK = "disk"


class Meter:
    """The counts of one write. Any thread may add to them."""

    def __init__(self, clock: Clock, link_bits_per_s: int | None = None) -> None:
        """`link_bits_per_s` is the speed of this server's fastest link, where it is known."""
        self._clock = clock
        self._link_bits_per_s = link_bits_per_s
        self._lock = Lock()
        self._began_s = clock.monotonic_s()
        self._busy_s = dict.fromkeys(Stage, 0.0)
        self._bytes = dict.fromkeys(Stage, 0)
        self._waits: dict[int, float] = {}
        self.lanes = dict.fromkeys(Stage, 1)
        """How many threads a stage has."""

    @contextmanager
    def busy(self, stage: Stage, size_bytes: int = 0) -> Iterator[None]:
        """This thread does that, with so many bytes. What fails is not counted."""
        began_s = self._clock.monotonic_s()
        if stage is Stage.DISK:
            self._waits[get_ident()] = began_s
        try:
            yield
        finally:
            self._waits.pop(get_ident(), None)
        self.add(stage, self._clock.monotonic_s() - began_s, size_bytes)

    def add(self, stage: Stage, busy_s: float, size_bytes: int) -> None:
        """What a thread timed itself."""
        with self._lock:
            self._busy_s[stage] += busy_s
            self._bytes[stage] += size_bytes

    def bytes_of(self, stage: Stage) -> int:
        """What went through a stage: SOURCE counts what was fetched, DISK what was written."""
        with self._lock:
            return self._bytes[stage]

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return self._clock.monotonic_s() - self._began_s

    def silent_s(self) -> float:
        """How long the disk has owed an answer to the order that it was given first."""
        return self._clock.monotonic_s() - min(tuple(self._waits.values()), default=self._clock.monotonic_s())

    def limit(self) -> str:
        """What holds it up, with its rate: "the server's link, 0.94 Gbit/s"."""
        if (silent_s := self.silent_s()) > SILENT_S:
            return f"the disk, {NO_ANSWER} {silent_s:.0f} s"
        stage = max(Stage, key=lambda one: self._busy_s[one] / self.lanes[one])
        rate = self.bytes_of(stage) / (self.elapsed_s or 1.0)
        match stage:
            case Stage.SOURCE:
                bits = rate * 8
                is_link = self._link_bits_per_s is not None and bits > 0.8 * self._link_bits_per_s
                whose = "this server's link" if is_link else "the image's source"
                return f"{whose}, {bits / 1e9:.2f} Gbit/s"
            case Stage.VERIFY:
                return f"verifying, {rate / MB:.0f} MB/s"
            case Stage.DECODE:
                return f"unpacking, {rate / MB:.0f} MB/s"
            case Stage.DISK:
                return f"the disk, {rate / MB:.0f} MB/s"
        assert_never(stage)

    def result(self) -> Result:
        """For the job's report: bytes, and each stage's share of the time in percent."""
        elapsed_s = self.elapsed_s or 1.0
        shares = {f"{one}_percent": round(100 * self._busy_s[one] / self.lanes[one] / elapsed_s) for one in Stage}
        return {
            "fetched_bytes": self.bytes_of(Stage.SOURCE),
            "written_bytes": self.bytes_of(Stage.DISK),
            "limited_by": self.limit(),
            **shares,
        }


def meter_of(host: Host) -> Meter:
    """A meter that starts now."""
    return Meter(host.clock, link_speed_bits_per_s(host.files))


def link_speed_bits_per_s(files: Files) -> int | None:
    """Of the fastest NIC with a carrier (Documentation/ABI/testing/sysfs-class-net: Mbit/s, -1 where unknown)."""
    speeds = []
    for name in files.names("/sys/class/net"):
        folder = f"/sys/class/net/{name}"
        try:
            if files.exists(f"{folder}/device") and files.read_text(f"{folder}/carrier").strip() == "1":
                speeds.append(int(files.read_text(f"{folder}/speed")))
        except (HostError, ValueError):  # a link that is down has no speed: EINVAL
            continue
    return max((speed * 1_000_000 for speed in speeds if speed > 0), default=None)
