# SPDX-License-Identifier: Apache-2.0
"""Writing one image to one disk: we and the others in turn, on loopback; then a second time, after a death, and over
a link of 1 Gbit/s. Every writer's disk is compared with the image once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.bars import MB, PROMISES, Bar, wall_bars
from tests.bench.disk import MIB, Disk, first_difference, read_once
from tests.bench.files import REPOSITORY, say
from tests.bench.links import Machine
from tests.bench.measure import Cost, Hung, cost_of
from tests.bench.nginx import Server
from tests.bench.writers import FETCHED, FILLS_THE_PAGE_CACHE, LIMITS, OUR_FORMS, READING, TIME_THEMSELVES, Place, pipe

ALONE = ("qcow2 zlib", "raw")
"""Forms that no bar compares with anybody, measured once a round."""
GIB = 1024**3
TRIES = 5
DEATH_AT = 0.9
DEATH_TIMEOUT_S = 300.0
REDEPLOY_BYTES = 0.01
REDEPLOY_WALL = 1.2
RESUME_BYTES = 0.15
GIGABIT_WALL = 1.05


class Bench:
    """One disk, one server, one image; it remembers what every run cost."""

    def __init__(self, place: Place, disk: Disk, server: Server, chosen: str = "") -> None:
        """`chosen` is a part of the names of what is to be measured."""
        self._place = place
        self._disk = disk
        self._server = server
        self._chosen = chosen
        self._compared: set[str] = set()
        self.hangs: Counter[str] = Counter()
        """How often one of the others had to be ended and begun anew (qemu-img 7.2 does that over HTTP)."""
        self.runs: dict[str, list[Cost]] = defaultdict(list)
        self.pairs: dict[tuple[str, str], list[tuple[Cost, Cost]]] = defaultdict(list)

    def round(self, number: int) -> None:
        """Everybody, each of ours beside each of the others that it is compared with; who is first alternates."""
        for one in PROMISES:
            if self._wanted(one.ours):
                pair = [one.ours, one.peer] if number % 2 == 0 else [one.peer, one.ours]
                costs = {name: self.run(name) for name in pair}
                self.pairs[one.ours, one.peer].append((costs[one.ours], costs[one.peer]))
        for name in ALONE:
            if self._wanted(name):
                self.run(name)
        for name in {stage: None for ours, stages in LIMITS.items() if self._wanted(ours) for stage in stages}:
            self.run(name)

    def _wanted(self, ours: str) -> bool:
        return self._chosen in ours

    def run(self, name: str, *flags: str, reset: bool = True, kept_as: str = "", inside: tuple[str, ...] = ()) -> Cost:
        """Once. The flush of the disk belongs to it."""
        place = replace(self._place, inside=inside) if inside else self._place
        for _ in range(TRIES):
            if reset:
                self._disk.reset()
            if name in FILLS_THE_PAGE_CACHE:
                warm = [sys.executable, "-m", "tests.bench.warm", str(self._place.image.size_bytes + GIB)]
                subprocess.run(warm, check=True, cwd=REPOSITORY)
            if form := FETCHED.get(name):
                read_once(self._place.image.file(form))
            before = len(self._server.requests())
            try:
                cost = cost_of(pipe(name, place, *flags), self._disk.flush, cwd=REPOSITORY)
                break
            except Hung as error:
                self.hangs[kept_as or name] += 1
                say(str(error))
                if name in OUR_FORMS:
                    raise
        else:
            raise RuntimeError(f"{name} hung {TRIES} times")
        if name in TIME_THEMSELVES:
            cost = replace(cost, wall_s=float(cost.output))
        if name in OUR_FORMS:
            cost = replace(cost, steps_s=float(json.loads(cost.output)["steps_s"]))
        cost = replace(cost, fetched_bytes=self._server.sent_bytes(before))
        self.runs[kept_as or name].append(cost)
        say(f"{kept_as or name}: {cost.wall_s:.2f} s, CPU {cost.cpu_s:.2f} s, {cost.rss_bytes / MB:.0f} MB")
        if not name.startswith("limit") and name not in self._compared:
            self._compare(name)
        return cost

    def _compare(self, name: str) -> None:
        """But for both ends, where tables are fitted to the disk."""
        self._compared.add(name)
        image = self._place.image
        found = first_difference(image.raw, self._disk.file, MIB, image.size_bytes - MIB)
        if found is not None:
            raise RuntimeError(f"{name} wrote something else at byte {found}")

    def redeploy(self, rounds: int) -> list[Bar]:
        """The same image again, on a disk that holds it."""
        full = self.run("chunked")
        both = [
            (self.run("chunked", reset=False, kept_as="chunked, again"), self.run(READING, reset=False))
            for _ in range(rounds)
        ]
        fetched = max(again.fetched_bytes for again, _ in both) / full.fetched_bytes
        written = max(again.written_bytes for again, _ in both) / full.written_bytes
        return [
            Bar("redeploy: fetched / full", fetched, REDEPLOY_BYTES),
            Bar("redeploy: written / full", written, REDEPLOY_BYTES),
            *wall_bars("redeploy / reading", both, runs=REDEPLOY_WALL),
        ]

    def resume(self) -> list[Bar]:
        """Killed when 90 % had been fetched; then begun again."""
        full = self.run("chunked")
        self._disk.reset()
        self._begin_and_kill(int(full.fetched_bytes * DEATH_AT))
        self._compared.discard("chunked")
        rest = self.run("chunked", "--resumed", reset=False, kept_as="chunked, after its death")
        return [Bar("resume after a kill: fetched / full", rest.fetched_bytes / full.fetched_bytes, RESUME_BYTES)]

    def _begin_and_kill(self, fetched: int) -> None:
        before, until = len(self._server.requests()), time.monotonic() + DEATH_TIMEOUT_S
        process = subprocess.Popen(pipe("chunked", self._place)[0], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        while self._server.sent_bytes(before) < fetched and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def verify(self) -> None:
        """What reading back costs."""
        self.run("chunked", "--verify", kept_as="chunked, --verify")

    def over_a_gigabit(self, node: Machine, rounds: int) -> list[Bar]:
        """Against a download of the same file to nowhere. The server is the one of the link."""
        both = []
        for _ in range(rounds):
            ours = self.run("chunked", kept_as="chunked, 1 Gbit/s", inside=node.inside)
            both.append((ours, self.run("limit: source", kept_as="curl, 1 Gbit/s", inside=node.inside)))
        return wall_bars("1 Gbit/s: chunked / curl", both, runs=GIGABIT_WALL)


def allocated_line(sizes: Sequence[tuple[str, Path]]) -> str:
    """How long each form is."""
    return ", ".join(f"{name} {path.stat().st_size / MB:.0f} MB" for name, path in sizes)
