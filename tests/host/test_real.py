# SPDX-License-Identifier: Apache-2.0
"""The real doors, opened together on the machine that runs the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import pytest

from agent.diagnose.capture import capture
from agent.diagnose.seen import items
from agent.host import real
from agent.host.fake import Machine
from agent.host.fake.recorded import recorded
from agent.inventory import take
from agent.inventory.hardware import take_in_full
from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from tests.machines.names import without_names

HEAVY = ("psutil", "pyroute2", "pyudev", "requests", "tenacity")


@pytest.mark.commands
def test_heavy_libraries_wait() -> None:
    """Opening the doors loads no library that only one door needs: start-up time counts in the ramdisk."""
    code = "import json, sys; from agent.host import real; real.host(); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert {"agent.host.netlink"} <= set(json.loads(done.stdout))
    assert not set(HEAVY) & set(json.loads(done.stdout))


@pytest.mark.commands
def test_inventory_of_this_machine() -> None:
    """This machine's inventory can be taken."""
    inventory = take(real.host())

    assert not isinstance(inventory.memory, Unknown) and inventory.memory.total_bytes > 0
    assert not isinstance(inventory.cpu, Unknown) and inventory.cpu.threads > 0


@pytest.mark.commands
def test_this_machine_recorded() -> None:
    """Recorded by the real doors, written down and read again, it has the inventory in full, but for names."""
    machine, _ = capture(real.host(), "the machine that runs the tests", b"of a test")
    copy = take_in_full(recorded(Machine.read(machine.written(), "a test")))

    assert without_names(still(copy)) == without_names(still(take_in_full(real.host())))


def still(machine: Hardware) -> Hardware:
    """Without what changes from one look to the next."""
    disks = tuple(disk.model_copy(update={"health": None}) for disk in items(machine.disks))
    kept = [nic for nic in items(machine.nics) if not nic.name.startswith(("veth", "tap", "vnet"))]  # other tests' own
    return machine.model_copy(update={"disks": disks, "nics": tuple(kept), "sensors": (), "taken_at": datetime.min})
