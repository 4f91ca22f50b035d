# SPDX-License-Identifier: Apache-2.0
"""How much longer a test may take on this machine than its row of the catalogue says: for what there is to do here.

They are generous. A limit ends what would never end; it does not judge hardware, and a slow machine that is well is
not to meet it.
"""

from __future__ import annotations

from agent.apply.validation.links import PATIENCE_S, PAUSE_S, asked_of
from agent.apply.validation.trials import Bench
from agent.model.validation import Trial

ROUND_S = 1.0
"""Of known answers, on the slowest processor there is."""
DISK_BYTES_S = 20 * 10**6
"""Of one disk; and of what all share, if they are many."""
SHARED_BYTES_S = 200 * 10**6


def more_s(bench: Bench, trial: Trial) -> float:
    """Raises `HostError`."""
    match trial.test:
        case "cpu.answers":
            return trial.settings["rounds"] * len(bench.host.processors.numbers()) * ROUND_S
        case "disk.surface":
            return for_bytes_s([one.size_bytes for one in bench.step.disks])
        case "disk.write":
            return 2 * trial.settings["loops"] * for_bytes_s([one.size_bytes for one in bench.step.wiped])
        case "network.gateway":
            return trial.settings["packets"] * len(asked_of(bench.host.netlink.tables())) * (PAUSE_S + PATIENCE_S)
    return 0.0


def for_bytes_s(sizes: list[int]) -> float:
    """All side by side."""
    return max(max(sizes, default=0) / DISK_BYTES_S, sum(sizes) / SHARED_BYTES_S)
