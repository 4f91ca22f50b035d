# SPDX-License-Identifier: Apache-2.0
"""What the operator's command costs to start: the CPU of `--help` beside that of importing Typer alone; and the seconds
in which `diagnose` answers. By turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.bench.bars import Bar, end, ratio_bar

HELP, TYPER = [sys.executable, "-m", "agent", "--help"], [sys.executable, "-c", "import typer"]
DIAGNOSE = [sys.executable, "-m", "agent", "diagnose", "--json"]
RATIO, ANSWER_S = 1.5, 2.0
LEAST_ROUNDS = 5


def main(rounds: int, *, as_json: bool) -> None:
    """Print the bars; status 1 if one was missed."""
    end(measured(max(rounds, LEAST_ROUNDS)), as_json=as_json)


def measured(rounds: int) -> list[Bar]:
    """The first of each fills the caches, and does not count."""
    both = [(cost(HELP)[0], cost(TYPER)[0]) for _ in range(rounds + 1)][1:]
    answers = sorted(cost(DIAGNOSE)[1] for _ in range(rounds))
    return [
        ratio_bar("bms-agent --help / import typer: CPU", both, RATIO),
        Bar("bms-agent diagnose: wall s", answers[len(answers) // 2], ANSWER_S, f"{answers[0]:.2f}-{answers[-1]:.2f}"),
    ]


def cost(argv: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    began_s = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began_s
