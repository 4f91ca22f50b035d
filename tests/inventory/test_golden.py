# SPDX-License-Identifier: Apache-2.0
"""Golden inventories: what is made of each machine in tests/machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.fake import Effect, FakeHost, FaultPlan, Machine
from agent.inventory import take
from agent.model.fact import Unknown
from agent.model.network import NetworkConfig
from agent.networking import Networking
from tests.machines import synthetic

MACHINES = sorted(path.parent for path in synthetic.HERE.glob("*/machine.json"))
WHOLE = [path for path in MACHINES if not (path / "answers.txt").exists()]
INTERESTING = synthetic.HERE / "synthetic-dell-r650"


@pytest.mark.parametrize("directory", MACHINES, ids=lambda path: path.name)
def test_inventory_of_a_machine(directory: Path, golden: Callable[[Path, str], None]) -> None:
    """The inventory of a recorded machine is the one that was reviewed."""
    inventory = take(FakeHost.load(directory))

    golden(directory / "inventory.json", inventory.model_dump_json(indent=1) + "\n")


@pytest.mark.parametrize("name", sorted(synthetic.MACHINES))
def test_synthetic_machines_are_those_of_their_builder(name: str, tmp_path: Path) -> None:
    """What is checked in is what `tests.machines.synthetic` makes, and it says that it is synthetic."""
    synthetic.MACHINES[name]().save(tmp_path)

    for file in ("tree.txt", "machine.json"):
        assert (tmp_path / file).read_text() == (synthetic.HERE / name / file).read_text()
    assert Machine.load(synthetic.HERE / name).record.origin.startswith("synthetic: ")


def test_taking_an_inventory_changes_nothing() -> None:
    """Observing runs no command and leaves the machine as it was."""
    host = FakeHost.load(INTERESTING)
    before = host.machine.tree.copy().entries
    take(host)

    assert host.machine.tree.entries == before
    assert host.machine.commands == []


@pytest.mark.parametrize("directory", WHOLE, ids=lambda path: path.name)
def test_every_failing_call_shows(directory: Path) -> None:
    """Whatever door call fails, the inventory is taken; it says so, or is the same without."""
    host = FakeHost.load(directory)
    healthy = take(host)
    for number, call in enumerate(host.faults.calls, 1):
        hurt = take(FakeHost.load(directory, FaultPlan(at=number, effect=Effect.FAIL)))

        assert f"failure planned for call {number}" in hurt.model_dump_json() or hurt == healthy, call


def test_failing_mounts_hide_every_disk() -> None:
    """If the mounts cannot be read, no disk may look unused: all disks are unknown."""
    host = FakeHost.load(INTERESTING)
    number = 1 + calls_until(INTERESTING, "counters.mounts()")
    hurt = take(FakeHost.load(INTERESTING, FaultPlan(at=number)))

    assert isinstance(hurt.disks, Unknown)
    assert hurt.nics == take(host).nics


def calls_until(directory: Path, call: str) -> int:
    """How many door calls come before this one."""
    host = FakeHost.load(directory)
    take(host)
    return host.faults.calls.index(call)


def test_network_state_fails_aloud() -> None:
    """Convergence compares with the truth or not at all: a failing netlink raises."""
    with pytest.raises(HostError):
        Networking(FakeHost.load(INTERESTING, FaultPlan(at=1))).network_state(NetworkConfig())
