# SPDX-License-Identifier: Apache-2.0
"""Ironic's own RAID interface reads what our steps answer: what it remembers of the node is what later boots go by."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.api.ironic.raid import array_names
from agent.host.fake import FakeHost
from agent.model.ironic.wire import Node
from tests.api.ironic.served import UUID
from tests.api.ironic.test_raid import ARRAYS, ROOT, made_in, step, uefi

pytestmark = pytest.mark.commands

SCRIPT = Path(__file__).with_name("raid_oracle.py")
TIMEOUT_S = 120
FEWER = {"logical_disks": [ROOT]}


def judged(home: Path, *asked: dict[str, Any]) -> list[Any]:
    """What Ironic makes of each."""
    done = subprocess.run(
        [str(home / "bin" / "python"), "-P", str(SCRIPT)],
        input="".join(json.dumps(one) + "\n" for one in asked),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(kind: str, name: str, config: object, result: dict[str, Any] | None) -> dict[str, Any]:
    """A step as Ironic's hook gets it."""
    return {"state": kind, "step": name, "config": config, "command": {"command_result": result}}


def test_ironic_remembers_the_arrays(ironic_home: Path) -> None:
    """Made in cleaning, deleted, and applied in a deploy: the node's raid_config is as it should be, and its arrays are
    those that we find in it.
    """
    machine = uefi()
    made = made_in(machine).result
    deleted = step(FakeHost.of(machine), "clean", "raid.delete_configuration", raid_config=ARRAYS).result
    applied = step(FakeHost.of(machine), "deploy", "raid.apply_configuration", {"raid_config": FEWER}).result
    first, second, third, nothing = judged(
        ironic_home,
        of("clean", "create_configuration", ARRAYS, made),
        of("clean", "delete_configuration", None, deleted),
        of("deploy", "apply_configuration", FEWER, applied),
        of("clean", "create_configuration", ARRAYS, {"clean_step": {}}),
    )

    assert first["raid_config"]["logical_disks"] == ARRAYS["logical_disks"] and first["saved"]
    assert (first["properties"]["local_gb"], "raid_level:1" in first["properties"]["capabilities"]) == (1, True)
    assert array_names(Node(uuid=UUID, raid_config=first["raid_config"])) == ("root", "data")
    assert second["raid_config"] == {} and "root_device" not in second["properties"]
    assert third["raid_config"]["logical_disks"] == FEWER["logical_disks"]
    assert "didn't return a proper command result" in nothing["error"]
