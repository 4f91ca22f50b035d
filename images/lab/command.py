# SPDX-License-Identifier: Apache-2.0
"""Short commands of the lab: run, waited for, and told in full when they fail."""

from __future__ import annotations

import subprocess

from lab.fault import LabFault

TIMEOUT_S = 30.0


def run(argv: list[str], timeout_s: float = TIMEOUT_S) -> str:
    """What the command printed. Raises `LabFault` with what it said on failing."""
    words = " ".join(argv)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise LabFault(f"running {words}: not done within {timeout_s:.0f} seconds") from None
    if done.returncode:
        raise LabFault(f"running {words}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout
