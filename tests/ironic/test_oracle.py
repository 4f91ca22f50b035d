# SPDX-License-Identifier: Apache-2.0
"""Ironic's own client reads our agent's answers: over TLS 1.3, with its checks of names, states and errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.host.fake import FakeHost
from tests.api.ironic.served import TOKEN, UUID, Agent, serving
from tests.apply.disks import MIB, machine

pytestmark = pytest.mark.commands

SCRIPT = Path(__file__).with_name("oracle.py")
TIMEOUT_S = 120
METADATA = {"interface": "deploy", "step": "erase_devices_metadata"}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Ours, on a machine with one disk."""
    hardware = machine(160 * MIB)
    hardware.programs["sync"] = hardware.programs["modprobe"]  # nothing to say, either
    with serving(FakeHost.of(hardware), tmp_path) as made:
        yield made


def judged(home: Path, agent: Agent, calls: list[tuple[str, dict[str, Any]]], token: str = TOKEN) -> list[Any]:
    """What Ironic's client makes of each answer."""
    done = subprocess.run(
        [str(home / "bin" / "python"), "-P", str(SCRIPT), agent.url, agent.ca, token, UUID],
        input="".join(json.dumps(call) + "\n" for call in calls),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_ironic_reads_what_the_agent_can_do(ironic_home: Path, agent: Agent) -> None:
    """Steps of all three kinds come as Ironic's step engine wants them: by manager, each with name and priority."""
    kinds = ("clean", "deploy", "service")
    for kind, answer in zip(
        kinds, judged(ironic_home, agent, [(f"get_{kind}_steps", {}) for kind in kinds]), strict=True
    ):
        result = answer["result"]["command_result"]
        steps = [step for found in result[f"{kind}_steps"].values() for step in found]
        assert result["hardware_manager_version"]
        assert "write_image" in {step["step"] for step in steps} or kind == "clean"
        assert all({"interface", "step", "priority"} <= step.keys() for step in steps)


def test_ironic_sees_a_step_through(ironic_home: Path, agent: Agent) -> None:
    """The step's end is the last of the list, by its short name, with the echo that Ironic compares."""
    calls: list[tuple[str, dict[str, Any]]] = [("get_clean_steps", {}), ("execute_clean_step", {"step": METADATA})]
    _, started = judged(ironic_home, agent, calls)
    agent.ended(started["result"]["id"])
    last, listed = judged(
        ironic_home, agent, [("get_last_command_status", {"method": "execute_clean_step"}), ("get_commands_status", {})]
    )

    assert started["result"]["command_name"] == "execute_clean_step"
    assert (last["result"]["command_status"], last["result"]["command_error"]) == ("SUCCEEDED", None)
    assert last["result"]["command_result"]["clean_step"] == METADATA
    assert listed["result"][-1] == last["result"]


def test_ironic_gets_what_it_waits_for(ironic_home: Path, agent: Agent) -> None:
    """sync, partition UUIDs and logs are answered at once, as done."""
    answers = judged(ironic_home, agent, [("sync", {}), ("get_partition_uuids", {}), ("collect_system_logs", {})])

    assert [answer["result"]["command_status"] for answer in answers] == ["SUCCEEDED"] * 3
    assert set(answers[2]["result"]["command_result"]) == {"system_logs"}


def test_ironic_understands_our_errors(ironic_home: Path, agent: Agent) -> None:
    """A wrong token and an unknown step are errors that Ironic can tell, not faults of its own (T6)."""
    (stranger,) = judged(ironic_home, agent, [("sync", {})], token="x" * 43)
    _, unknown = judged(
        ironic_home, agent, [("get_clean_steps", {}), ("execute_clean_step", {"step": METADATA | {"step": "nope"}})]
    )

    assert (stranger["error"], "Token invalid" in stranger["text"]) == ("AgentAPIError", True)
    assert agent.ended(unknown["result"]["id"])["command_status"] == "FAILED"
