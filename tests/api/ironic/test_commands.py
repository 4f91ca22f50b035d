# SPDX-License-Identifier: Apache-2.0
"""The list of commands: what Ironic's step engine reads in it, whatever happens to the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.api.ironic.commands import Command, Kind, Outcome
from agent.errors import HostError
from agent.host.fake import Effect, FakeHost
from tests.api.ironic.served import BOOT, DIRECTORY, TIMEOUT_S, UUID, Agent, serving, until
from tests.api.ironic.test_server import KEYS


class Gate:
    """Commands that end when they are told to."""

    def __init__(self) -> None:
        self.open = Event()
        self.ids: list[str] = []

    def slow(self, command_id: str, params: dict[str, Any]) -> Outcome:
        """Until the gate is open."""
        self.ids.append(command_id)
        assert self.open.wait(TIMEOUT_S)
        return Outcome(result=params)

    def failing(self, _: str, __: dict[str, Any]) -> Outcome:
        """It does not go well, and says so in what JSON cannot hold."""
        raise HostError("doing \ud800", "no")

    def broken(self, _: str, params: dict[str, Any]) -> Outcome:
        """A fault of ours."""
        return Outcome(result=params["nothing"])

    @property
    def rows(self) -> dict[str, Command]:
        """Of the table."""
        return {
            "test.slow": Command(Kind.STARTED, self.slow),
            "test.failing": Command(Kind.STARTED, self.failing),
            "test.broken": Command(Kind.DONE, self.broken),
        }


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Open in the end, whatever happens."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def agent(tmp_path: Path, gate: Gate) -> Iterator[Agent]:
    """With commands that wait at the gate."""
    with serving(FakeHost.with_files({}), tmp_path, rows=gate.rows) as made:
        yield made


def test_short_names_and_five_keys(agent: Agent) -> None:
    """Ironic compares names literally, without their extension (T1)."""
    answer = agent.post("clean.get_clean_steps", {"node": {}, "ports": []}, wait=True)
    answer.pop("status")

    assert list(answer) == KEYS
    assert (answer["command_name"], answer["command_status"]) == ("get_clean_steps", "SUCCEEDED")
    assert agent.listed() == [answer]


def test_one_at_a_time(agent: Agent, gate: Gate) -> None:
    """While one runs, others are refused with 409, and the list ends with the one that runs (T6, T10)."""
    first = agent.post("test.slow", {"x": 1})
    refused = agent.post("clean.get_clean_steps")

    assert first["command_status"] == "RUNNING"
    assert (refused["status"], refused["faultstring"]) == (409, "Agent is busy: executing command slow")
    assert [one["id"] for one in agent.listed()] == [first["id"]]
    gate.open.set()
    assert agent.ended(first["id"])["command_result"] == {"x": 1}
    assert agent.post("clean.get_clean_steps")["status"] == 200


def test_logs_while_a_step_runs(agent: Agent, gate: Gate) -> None:
    """They are there when they are needed most, and leave no entry behind the running one (T10)."""
    first = agent.post("test.slow")
    logs = agent.post("log.collect_system_logs", wait=True)

    assert (logs["command_status"], logs["command_result"]) == ("SUCCEEDED", {"system_logs": "bG9ncw=="})
    assert [one["id"] for one in agent.listed()] == [first["id"]]


def test_logs_leave_no_entry(agent: Agent) -> None:
    """They are megabytes, and Ironic reads the whole list every time."""
    assert agent.post("log.collect_system_logs", wait=True)["command_status"] == "SUCCEEDED"
    assert agent.listed() == []


def test_what_cannot_be_recorded_ends_the_process(tmp_path: Path, gate: Gate) -> None:
    """A step that has ended, and of which that cannot be said, would run for ever; the next process goes on with it."""
    host = FakeHost.with_files({})
    with serving(host, tmp_path, rows=gate.rows) as agent:
        first = agent.post("test.slow")
        host.faults.at, host.faults.effect = len(host.faults.calls) + 1, Effect.FAIL
        gate.open.set()
        until(lambda: bool(agent.died))
    with serving(host.restarted(), tmp_path, rows=gate.rows) as agent:
        assert agent.ended(first["id"])["command_status"] == "SUCCEEDED"


def test_what_cannot_be_recorded_is_not_busy_for_ever(agent: Agent) -> None:
    """Of a command that is done at once, too: the process ends, and says so."""
    assert isinstance(agent.host, FakeHost)
    faults = agent.host.faults
    faults.at, faults.effect = len(faults.calls) + 3, Effect.FAIL  # kept, listed as running, then its end
    answer = agent.post("deploy.get_deploy_steps")

    assert (answer["status"], answer["faultcode"]) == (500, "Server")
    assert "cannot be recorded" in answer["faultstring"]
    assert agent.died


def test_an_error_is_told_whole(agent: Agent) -> None:
    """Ironic shows the details alone: what failed, why, and what to do; and a list with it can be read (T13)."""
    failed = agent.ended(agent.post("test.failing")["id"])
    broken = agent.post("test.broken")

    assert failed["command_status"] == broken["command_status"] == "FAILED"
    assert failed["command_error"] == {
        "type": "HOST.ERROR",
        "code": 500,
        "message": "doing \ufffd: no",
        "details": "doing \ufffd: no [HOST.ERROR] Look at the agent's log for the lines before this one.",
    }
    assert broken["command_error"]["type"] == "AGENT.BUG"
    assert [one["id"] for one in agent.listed()] == [failed["id"], broken["id"]]


def test_news_at_the_end(agent: Agent, gate: Gate) -> None:
    """A command's end brings the next heartbeat about at once."""
    first = agent.post("test.slow")
    agent.news.clear()
    gate.open.set()

    assert agent.news.wait(TIMEOUT_S)
    assert agent.ended(first["id"])["command_status"] == "SUCCEEDED"


def test_a_restart_within_a_step(tmp_path: Path, gate: Gate) -> None:
    """The list is not empty, or Ironic would skip the step; the command goes on under its id, and ends (T2)."""
    host = FakeHost.with_files({})
    with serving(host, tmp_path, rows=gate.rows) as agent:
        agent.post("clean.get_clean_steps")
        first = agent.post("test.slow", {"secret": "s3"})
    later = Gate()
    with serving(host.restarted(), tmp_path, rows=later.rows) as agent:
        statuses = [(one["command_name"], one["command_status"]) for one in agent.listed()]
        assert statuses == [("get_clean_steps", "SUCCEEDED"), ("slow", "RUNNING")]
        assert agent.post("test.slow")["status"] == 409
        later.open.set()
        assert agent.ended(first["id"])["command_result"] == {"secret": "s3"}
    assert later.ids == [first["id"]]
    assert not host.files.exists(f"{DIRECTORY}/order.json")


def test_a_restart_that_knows_no_more(tmp_path: Path, gate: Gate) -> None:
    """What cannot be gone on with has failed: it is neither running for ever nor forgotten."""
    host = FakeHost.with_files({})
    with serving(host, tmp_path, rows=gate.rows) as agent:
        agent.post("test.slow")
    host.files.remove(f"{DIRECTORY}/order.json")
    with serving(host.restarted(), tmp_path) as agent:
        (found,) = agent.listed()
    assert (found["command_status"], found["command_error"]["type"]) == ("FAILED", "AGENT.INTERRUPTED")


def test_another_boot(tmp_path: Path, gate: Gate) -> None:
    """After a reboot the list is empty: Ironic waits for that (T3)."""
    host = FakeHost.with_files({})
    with serving(host, tmp_path, rows=gate.rows) as agent:
        agent.post("test.slow")
    with serving(host.restarted(), tmp_path, boot=f"not {BOOT}") as agent:
        assert agent.listed() == []


@pytest.mark.parametrize("kind", ["clean", "deploy", "service"])
def test_lists_of_steps(agent: Agent, kind: str) -> None:
    """A dict by who offers them, each with what Ironic needs, and a version that comes back (T14, T15)."""
    answer = agent.post(f"{kind}.get_{kind}_steps", wait=True)["command_result"]

    assert answer["hardware_manager_version"] == {"generic_hardware_manager": "1.2"}
    steps = answer[f"{kind}_steps"]["generic_hardware_manager"]
    assert steps
    assert all({"interface", "step", "priority", "reboot_requested"} <= set(step) for step in steps)


def test_automated_cleaning_wipes_metadata_first(agent: Agent) -> None:
    """The priorities are IPA's: an operator's configuration overrides those."""
    steps = agent.post("clean.get_clean_steps")["command_result"]["clean_steps"]["generic_hardware_manager"]

    automated = {step["step"]: step["priority"] for step in steps if step["priority"]}
    assert automated == {"erase_devices": 10, "erase_devices_metadata": 99}


def step(name: str, **args: Any) -> dict[str, Any]:
    """The parameters of a step."""
    return {
        "step": {"interface": "deploy", "step": name, "args": args},
        "node": {"uuid": UUID, "properties": {}, "instance_info": {}, "extra": {}},
        "ports": [],
    }


def test_other_versions(agent: Agent) -> None:
    """Steps that another ramdisk has named are not begun; Ironic starts over (T14)."""
    params = step("erase_devices") | {"clean_version": {"generic_hardware_manager": "1.1"}}
    ended = agent.ended(agent.post("clean.execute_clean_step", params)["id"])

    assert ended["command_status"] == "CLEAN_VERSION_MISMATCH"
    assert ended["command_error"]["type"] == "VersionMismatch"


def test_unknown_steps(agent: Agent) -> None:
    """They fail, and the error lists what there is."""
    ended = agent.ended(agent.post("clean.execute_clean_step", step("make_coffee"))["id"])

    assert ended["command_status"] == "FAILED"
    assert "there is no such step; there are deploy.erase_devices" in ended["command_error"]["details"]


def test_rescue(agent: Agent) -> None:
    """Answered with success at once, and only then the API ends (T7)."""
    password = "$6$rounds=5000$abcdefgh$" + "x" * 86
    answer = agent.post("rescue.finalize_rescue", {"rescue_password": password, "hashed": True})

    assert (answer["command_status"], answer["command_result"]) == ("SUCCEEDED", None)
    assert (agent.rescued, agent.over) == ([password], [False])


def test_lockdown(agent: Agent) -> None:
    """The answer comes, then nobody is reached (T24)."""
    assert agent.post("system.lockdown")["command_status"] == "SUCCEEDED"
    assert agent.over == [True]


@pytest.mark.parametrize(("name", "order"), [("power_off", "power off"), ("run_image", "reboot")])
def test_ends_of_a_boot(agent: Agent, name: str, order: str) -> None:
    """It is answered before it is done (T23)."""
    answer = agent.post(f"standby.{name}")

    assert answer["command_status"] == "RUNNING"
    assert agent.ended(answer["id"])["command_status"] == "SUCCEEDED"
    assert isinstance(agent.host, FakeHost)
    assert agent.host.machine.power_orders == [order]
