# SPDX-License-Identifier: Apache-2.0
"""NICs whose firmware hears LLDP in our place are told not to, and only they."""

from __future__ import annotations

from collections.abc import Sequence

from agent.apply.network.firmware_lldp import stop_firmware_lldp
from agent.host.fake import FakeHost, Machine, Output, failing
from agent.inventory.network import nics
from tests.machines import synthetic

COMMANDS = tuple(f"/sys/kernel/debug/i40e/0000:19:00.{number}/command" for number in (0, 1))


def mount(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """What the driver shows once debugfs is there."""
    for path in COMMANDS:
        machine.tree.put(path, b"")
    return Output()


def test_it_is_stopped() -> None:
    """Each function of the driver is told, after debugfs was mounted if need be; other drivers' NICs are left alone."""
    host = FakeHost.of(synthetic.dell_r650())
    host.machine.programs["mount"] = mount
    stop_firmware_lldp(host, nics(host))
    stop_firmware_lldp(host, nics(host))

    assert [host.machine.tree.entries[path] for path in COMMANDS] == [b"lldp stop"] * 2
    assert host.machine.commands == [("mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug")]


def test_a_kernel_that_does_not_let_us() -> None:
    """Under lockdown there is no debugfs: the inspection goes on, without what those switches say."""
    host = FakeHost.of(synthetic.dell_r650())
    host.machine.programs["mount"] = failing(32, "permission denied")
    stop_firmware_lldp(host, nics(host))

    assert not host.machine.tree.directories.get("/sys/kernel/debug")


def test_other_nics() -> None:
    """Where there is no such NIC, nothing is mounted."""
    host = FakeHost.load(synthetic.HERE / "qemu-q35")
    stop_firmware_lldp(host, nics(host))

    assert host.machine.commands == []
