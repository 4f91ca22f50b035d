# SPDX-License-Identifier: Apache-2.0
"""Recording a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.host.fake import FakeHost, Machine
from agent.inventory import take
from agent.inventory.capture import capture
from agent.inventory.hardware import take_in_full
from agent.model.hardware.processor import CpuInFull
from agent.model.inventory import Inventory
from tests.inventory import equipped
from tests.machines import synthetic


@pytest.mark.parametrize("build", synthetic.MACHINES.values(), ids=synthetic.MACHINES.keys())
def test_recording_gives_the_same_inventory(build: Callable[[], Machine], tmp_path: Path) -> None:
    """A machine that was captured, saved and loaded has the inventory of the original, unknown facts included."""
    original = FakeHost.of(build())
    capture(original, "a test").save(tmp_path)
    copy = FakeHost.load(tmp_path)

    assert spoken(take(copy)) == spoken(take(original))
    assert copy.machine.record.origin == "a test"


def test_recording_has_what_sysfs_has_in_full(tmp_path: Path) -> None:
    """Caches, links of PCI Express, sensors and counted errors are recorded, too; what devices answer is not."""
    original = take_in_full(equipped.host())
    capture(equipped.host(), "a test").save(tmp_path)
    copy = take_in_full(FakeHost.load(tmp_path))

    assert isinstance(original.cpu, CpuInFull) and isinstance(copy.cpu, CpuInFull)
    assert (copy.cpu.caches, copy.cpu.vulnerabilities) == (original.cpu.caches, original.cpu.vulnerabilities)
    assert (copy.sensors, copy.memory_errors) == (original.sensors, original.memory_errors)
    assert copy.sensors and copy.memory_errors
    assert isinstance(original.pci_devices, tuple) and isinstance(copy.pci_devices, tuple)
    assert [one.link for one in copy.pci_devices] == [one.link for one in original.pci_devices]


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
