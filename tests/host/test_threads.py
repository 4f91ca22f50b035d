# SPDX-License-Identifier: Apache-2.0
"""Threads that compute are told from those that wait."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCH = """
from threading import Event, Thread
from time import monotonic, sleep
from agent.host.threads import others_compute

stop = Event()
Thread(target=stop.wait, daemon=True).start()
sleep(0.2)
waits = any(others_compute() for _ in range(20))
def compute():
    while not stop.is_set():
        pass
Thread(target=compute, daemon=True).start()
end_s = monotonic() + 20
while not (computes := others_compute()) and monotonic() < end_s:
    sleep(0.01)
stop.set()
print(waits, computes)
"""


@pytest.mark.commands
def test_who_computes() -> None:
    """In a process of its own, where nobody else's threads are."""
    said = subprocess.run([sys.executable, "-c", WATCH], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout.split() == ["False", "True"]
