# SPDX-License-Identifier: Apache-2.0
"""Recording a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.host.fake import FakeHost, Machine
from agent.inventory import take
from agent.inventory.capture import capture
from agent.model.inventory import Inventory
from tests.machines import synthetic


@pytest.mark.parametrize("build", synthetic.MACHINES.values(), ids=synthetic.MACHINES.keys())
def test_recording_gives_the_same_inventory(build: Callable[[], Machine], tmp_path: Path) -> None:
    """A machine that was captured, saved and loaded has the inventory of the original, unknown facts included."""
    original = FakeHost.of(build())
    capture(original, "a test").save(tmp_path)
    copy = FakeHost.load(tmp_path)

    assert spoken(take(copy)) == spoken(take(original))
    assert copy.machine.record.origin == "a test"


def spoken(inventory: Inventory) -> str:
    """The inventory as text."""
    return inventory.model_dump_json(indent=1)


def test_recording_changes_nothing() -> None:
    """Capturing reads, and does nothing else."""
    host = FakeHost.of(synthetic.dell_r650())
    before = host.machine.tree.copy().entries
    capture(host, "a test")

    assert host.machine.tree.entries == before
    assert host.machine.commands == []
