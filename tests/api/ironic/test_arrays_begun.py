# SPDX-License-Identifier: Apache-2.0
"""Arrays of another boot: which steps of Ironic's make them run, and which of them may be written to then."""

from __future__ import annotations

from typing import Any

import pytest

from agent.host.fake import FakeHost, Machine
from tests.api.ironic.test_raid import ARRAYS, made_in, step, uefi


def booted_again(machine: Machine) -> Machine:
    """No array runs; what was said to the tools before is forgotten."""
    for name in ("md0", "md1", "md2"):
        FakeHost.of(machine).files.tell(f"/sys/block/{name}/md/array_state", "clear")
    machine.commands.clear()
    return machine


def said_to_mdadm(machine: Machine) -> list[str]:
    """In this boot."""
    return [" ".join(one[1:]) for one in machine.commands if one[0] == "mdadm"]


def test_an_array_is_looked_at_before_it_is_written() -> None:
    """An entry may mean one by what is seen when it runs: none runs otherwise than read-only before, and that never."""
    machine = uefi()
    made_in(machine)
    about: dict[str, Any] = {
        "properties": {"skip_block_devices": [{"size": "<range-in> [ 2 3 ]"}]},
        "raid_config": ARRAYS,
    }
    told = step(FakeHost.of(booted_again(machine)), "clean", "deploy.erase_devices_metadata", **about)
    said = said_to_mdadm(machine)

    assert told.error is None, told.error
    assert len(said) == 5 and all("--readonly" in one for one in said[:3]), said
    assert said[1].startswith("--assemble /dev/md126") and said[1].endswith("/dev/sda3 /dev/sdb3"), said
    assert sorted(said[3:]) == ["--readwrite /dev/md125", "--readwrite /dev/md127"], said


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("deploy.validate_hardware", {"tests": ["cpu.cores"]}),
        ("deploy.erase_pstore", {}),
        ("deploy.clean_uefi_nvram", {}),
    ],
)
def test_a_step_that_only_reads_begins_no_array(name: str, args: dict[str, Any]) -> None:
    """md would write to the disks, by itself."""
    machine = uefi()
    made_in(machine)
    step(FakeHost.of(booted_again(machine)), "clean", name, args, raid_config=ARRAYS)

    assert said_to_mdadm(machine) == []
