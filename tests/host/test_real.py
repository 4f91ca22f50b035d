# SPDX-License-Identifier: Apache-2.0
"""The real doors, opened together on the machine that runs the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.host import real
from agent.host.fake import FakeHost
from agent.inventory import take
from agent.inventory.capture import capture
from agent.model.fact import Unknown

HEAVY = ("psutil", "pyroute2", "pyudev", "requests", "tenacity")


@pytest.mark.commands
def test_heavy_libraries_wait() -> None:
    """Opening the doors loads no library that only one door needs: start-up time counts in the ramdisk."""
    code = "import json, sys; from agent.host import real; real.host(); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert {"agent.host.netlink"} <= set(json.loads(done.stdout))
    assert not set(HEAVY) & set(json.loads(done.stdout))


@pytest.mark.commands
def test_inventory_of_this_machine(tmp_path: Path) -> None:
    """This machine's inventory can be taken; recorded and loaded again it is the same."""
    host = real.host()
    inventory = take(host)
    capture(host, "the machine that runs the tests").save(tmp_path)

    assert not isinstance(inventory.memory, Unknown) and inventory.memory.total_bytes > 0
    assert not isinstance(inventory.cpu, Unknown) and inventory.cpu.threads > 0
    assert take(FakeHost.load(tmp_path)) == inventory
