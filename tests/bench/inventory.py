# SPDX-License-Identifier: Apache-2.0
"""`tests/bench/run inventory`: the whole inventory beside `lshw -json`, on this machine, and in an emulated one.

An agent that runs is measured in its own process, as the service takes its inventories. A command begins by starting
Python, which alone takes longer than a tenth of lshw where there is little hardware: it is told, and promised nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from agent.host.doors import Host
from agent.host.real import host as open_host
from agent.inventory.hardware import take_in_full
from lab import artifacts
from tests.bench.bars import Bar, end, ratio_bar
from tests.bench.cli import cost
from tests.bench.files import CACHE
from tests.machine.looked import looked

SHARE = 0.1
NO_LIMIT = float("inf")
LSHW, COMMAND = ["lshw", "-json"], [sys.executable, "-m", "agent", "inventory", "--json"]


def main(rounds: int, *, as_json: bool) -> None:
    """Boots the guest of `tests/machine/test_inventory.py`. Needs root."""
    here = bars_here(rounds)
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        took = looked(Path(folder), artifacts.ramdisk())["took"]
    end([*here, *bars_of_guest(took)], as_json=as_json)


def bars_here(rounds: int) -> list[Bar]:
    """By turns, so that a busy machine is busy for all. The first of each fills caches, and does not count. An agent
    that runs hands its work to threads, each of which waits for a processor on a busy machine: its CPU is told, too.
    """
    doors = open_host()
    measured = [(taken(doors), cost(LSHW), cost(COMMAND)) for _ in range(rounds + 1)][1:]
    name = "here: inventory / lshw -json"
    return [
        ratio_bar(f"{name}, by an agent that runs", [(ours[1], lshw[1]) for ours, lshw, _ in measured], SHARE),
        ratio_bar(f"{name}, by an agent that runs: CPU", [(ours[0], lshw[0]) for ours, lshw, _ in measured], SHARE),
        ratio_bar(f"{name}, as a command", [(ours[1], lshw[1]) for _, lshw, ours in measured], NO_LIMIT),
    ]


def bars_of_guest(took: dict[str, float]) -> list[Bar]:
    """One of each, in an emulated processor."""
    lshw = took["lshw"]
    return [
        Bar("guest: inventory / lshw -json, by an agent that runs", took["ours, by an agent that runs"] / lshw, SHARE),
        Bar("guest: inventory / lshw -json, as a command", took["ours, as a command"] / lshw, NO_LIMIT),
        Bar("guest: lshw -json, s", lshw, NO_LIMIT),
    ]


def taken(doors: Host) -> tuple[float, float]:
    """CPU and wall seconds of one in this process."""
    began_s, used_s = time.monotonic(), time.process_time()
    take_in_full(doors)
    return time.process_time() - used_s, time.monotonic() - began_s
