# SPDX-License-Identifier: Apache-2.0
"""`tests/bench/run inventory`: the whole inventory beside `lshw -json`, on this machine, and in an emulated one.

An agent that runs is measured in its own process, as the service takes its inventories. A command begins by starting
Python, which alone takes longer than a tenth of lshw where there is little hardware: it is told, and promised nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

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
Used = tuple[float, float]
"""CPU and wall seconds."""
LSHW, COMMAND = ["lshw", "-json"], [sys.executable, "-m", "agent", "inventory", "--json"]


def main(rounds: int, *, as_json: bool) -> None:
    """Boots the guest of `tests/machine/test_inventory.py`. Needs root."""
    here = bars_here(rounds)
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        took = looked(Path(folder), artifacts.ramdisk())["took"]
    end([*here, *bars_of_guest(took)], as_json=as_json)


def bars_here(rounds: int) -> list[Bar]:
    """By turns, so that a busy machine is busy for all. The first of each fills caches, and does not count. On a busy
    machine whoever is measured waits for a processor: the CPU is told, too.
    """
    doors = open_host()
    measured = [(taken(doors), cost(LSHW), cost(COMMAND)) for _ in range(rounds + 1)][1:]
    return bars("here", measured)


def bars_of_guest(took: dict[str, list[tuple[float, float]]]) -> list[Bar]:
    """The same, in an emulated processor."""
    return bars("guest", list(zip(took["agent"], took["lshw"], took["command"], strict=True)))


def bars(where: str, measured: Sequence[tuple[Used, Used, Used]]) -> list[Bar]:
    """Of rounds of an agent that runs, lshw, and our command. A command's are promised nothing: see above."""
    name = f"{where}: inventory / lshw -json"
    agent, command = ([(row[at], row[1]) for row in measured] for at in (0, 2))
    return [
        ratio_bar(f"{name}, by an agent that runs", [(ours[1], lshw[1]) for ours, lshw in agent], SHARE),
        ratio_bar(f"{name}, by an agent that runs: CPU", [(ours[0], lshw[0]) for ours, lshw in agent], SHARE),
        ratio_bar(f"{name}, as a command", [(ours[1], lshw[1]) for ours, lshw in command], NO_LIMIT),
        ratio_bar(f"{name}, as a command: CPU", [(ours[0], lshw[0]) for ours, lshw in command], NO_LIMIT),
        Bar(f"{where}: lshw -json, s", median(lshw[1] for _, lshw in agent), NO_LIMIT),
    ]


def taken(doors: Host) -> tuple[float, float]:
    """CPU and wall seconds of one in this process."""
    began_s, used_s = time.monotonic(), time.process_time()
    take_in_full(doors)
    return time.process_time() - used_s, time.monotonic() - began_s
