# SPDX-License-Identifier: Apache-2.0
"""What a command costs: wall time, CPU, memory, bytes to the disk. A command may be a pipe of several processes.

CPU is of the processes and their children (wait4), not of the kernel's threads behind the disk, nor of the server.
Memory is the sum of their peaks (VmHWM, looked at every few milliseconds: ru_maxrss is inherited through exec).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

GLANCE_S = 0.02
IDLE_S = 30.0
FIRST = -15
"""A nice value."""
IDLE_TICKS = 2  # of 10 ms: less than a process takes to look at its own timers
Pipe = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Cost:
    """Of one run. `output` is what the last process printed. Who knows them fills in `fetched_bytes` and `steps_s`, the
    time without the start of the process.
    """

    wall_s: float
    cpu_s: float
    rss_bytes: int
    written_bytes: int
    fetched_bytes: int = 0
    output: str = ""
    steps_s: float = 0.0


class Hung(RuntimeError):
    """It did nothing for a long time."""


class Watch(threading.Thread):
    """Looks at the memory of processes and of their children until it is stopped; ends those that do nothing more."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        super().__init__(name="watch", daemon=True)
        self._processes = processes
        self._pids = [one.pid for one in processes]
        self._over = threading.Event()
        self._peaks: dict[int, int] = {}
        self._last_move = (0, time.monotonic())
        self.has_killed = False

    def run(self) -> None:
        """Until `stop`."""
        beats = 0
        while not self._over.wait(GLANCE_S):
            for pid in {*self._pids, *self._peaks, *(children(self._pids) if beats % 10 == 0 else ())}:
                self._peaks[pid] = max(self._peaks.get(pid, 0), peak_bytes(pid))
            if beats % 50 == 0:
                self._end_idlers()
            beats += 1

    def _end_idlers(self) -> None:
        ticks, now = sum(cpu_ticks(pid) for pid in self._peaks), time.monotonic()
        if ticks > self._last_move[0] + IDLE_TICKS:
            self._last_move = (ticks, now)
        elif now - self._last_move[1] > IDLE_S:
            self.has_killed = True
            for one in self._processes:
                one.send_signal(signal.SIGKILL)

    def stop(self) -> int:
        """The sum of all peaks."""
        self._over.set()
        self.join()
        return sum(self._peaks.values())


def children(pids: Sequence[int]) -> list[int]:
    """Of processes that may be gone."""
    found = []
    for pid in pids:
        try:
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def peak_bytes(pid: int) -> int:
    """VmHWM; 0 of a process that is over."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


@contextmanager
def first_in_line() -> Iterator[None]:
    """Whatever else runs on this machine has to wait for what is measured: all that is started from this session.

    Linux shares processors among sessions first, and only then among processes (sched(7), autogroup).
    """
    group = Path("/proc/self/autogroup")
    if not group.exists():
        yield
        return
    before = group.read_text().split()[-1]
    group.write_text(str(FIRST))
    try:
        yield
    finally:
        group.write_text(before)


def cost_of(pipe: Pipe, finish: Callable[[], None] = lambda: None, *, cwd: Path | None = None) -> Cost:
    """Run it to its end; `finish` (the flush of the disk) belongs to its time. Raises if any process fails."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        written, began = written_bytes(), time.monotonic()
        processes = started(pipe, said.fileno(), complaints.fileno(), cwd)
        watch = Watch(processes)
        watch.start()
        cpu_s, statuses = 0.0, []
        for one in processes:
            _, status, usage = os.wait4(one.pid, 0)
            one.returncode = os.waitstatus_to_exitcode(status)
            statuses.append(one.returncode)
            cpu_s += usage.ru_utime + usage.ru_stime
        rss = watch.stop()
        finish()
        wall_s = time.monotonic() - began
        said.seek(0)
        complaints.seek(0)
        if watch.has_killed:
            raise Hung(f"{pipe} did nothing for {IDLE_S:.0f} s")
        if any(statuses):
            raise RuntimeError(f"{pipe}: {statuses}: {complaints.read()[-2000:]}{said.read()[-500:]}")
        return Cost(wall_s, cpu_s, rss, written_bytes() - written, output=said.read())


def started(pipe: Pipe, output: int, complaints: int, cwd: Path | None) -> list[subprocess.Popen[bytes]]:
    """Each reads what the one before it writes."""
    processes: list[subprocess.Popen[bytes]] = []
    for number, argv in enumerate(pipe):
        is_last = number == len(pipe) - 1
        before = processes[-1].stdout if processes else None
        processes.append(
            subprocess.Popen(
                argv,
                stdin=before or subprocess.DEVNULL,
                stdout=output if is_last else subprocess.PIPE,
                stderr=complaints,
                cwd=cwd,
            )
        )
        if before is not None:
            before.close()
    return processes


def cpu_ticks(pid: int) -> int:
    """User and system; 0 of a process that is over (proc(5), /proc/pid/stat)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(words[11]) + int(words[12])


def written_bytes() -> int:
    """What this process and the children that it waited for gave to block devices (proc(5), /proc/pid/io).

    Not a disk's own count: that one counts zeroing by the device as writing.
    """
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
