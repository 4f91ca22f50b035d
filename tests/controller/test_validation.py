# SPDX-License-Identifier: Apache-2.0
"""A node's hardware is tested by order: which node may be, what is kept of it, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.burn_in import State, Verdict
from agent.model.fault import Fault
from agent.model.job import JobState, Result
from agent.model.request import ValidateRequest
from agent.model.validation import Validated
from agent.model.validation.codes import DISK_FAILING, PASSED
from tests.controller.machine import Machine, a_key
from tests.controller.people import person
from tests.controller.world import World

ORDER = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "key_name": "me"}
FAILED = Fault(code="HARDWARE.VALIDATION_FAILED", message="validating this machine: disk.health SN-sda failed")


def ordered(world: World, machine: Machine, **wanted: Any) -> ValidateRequest:
    """What the agent is asked."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/validations", wanted, status=202)
    request = machine.desired().request
    assert isinstance(request, ValidateRequest)
    return request


def found(state: State) -> Result:
    """As an agent reports it, of one disk."""
    code = PASSED if state == "passed" else DISK_FAILING
    verdict = Verdict(test="disk.health", part="disk", subject="SN-sda", state=state, code=code, told="worn")
    return {"verdict": state, "report": Validated.of([verdict]).model_dump_json()}


def kept(world: World) -> list[Any]:
    """What the operator sees, newest first."""
    validations = world.user("GET", f"/v1/nodes/{world.node()['id']}/validations")["validations"]
    assert isinstance(validations, list)
    return validations


def test_what_was_ordered_is_asked_for(world: World, machine: Machine) -> None:
    """In full; and no disk may be written to, whatever is said."""
    request = ordered(world, machine, parts=["cpu"], settings={"seconds": 5}, time_limit_s=60)

    assert (request.profile, request.parts, request.settings, request.time_limit_s) == (
        "quick",
        ("cpu",),
        {"seconds": 5},
        60,
    )
    assert (request.wipe, request.disks) == (False, ())
    assert machine.desired().request == request, "asked again it is the same"


@pytest.mark.parametrize("verdict", ["passed", "degraded"])
def test_findings_are_kept(world: World, machine: Machine, verdict: State) -> None:
    """Who ordered what, and every verdict; the node is available afterwards as before."""
    request = ordered(world, machine)
    machine.report(request, JobState.RUNNING, "validate")
    machine.report(request, JobState.SUCCEEDED, result=found(verdict))
    [one] = kept(world)

    assert (one["status"], one["ordered_by"], one["order"]["profile"]) == ("SUCCESS", "admin-token", "quick")
    assert one["found"]["state"] == verdict and one["found"]["verdicts"][0]["subject"] == "SN-sda"
    assert (world.node()["state"], world.node()["maintenance"], world.node()["job_id"]) == ("available", False, None)
    assert machine.desired().request is None
    assert "validate" in world.phases(one["job_id"])


def test_broken_hardware_gets_no_server(world: World, machine: Machine) -> None:
    """The node is in maintenance, and says why, until it is validated and an operator lets it out."""
    machine.report(ordered(world, machine), JobState.FAILED, fault=FAILED, result=found("failed"))
    node, [one] = world.node(), kept(world)

    assert (node["state"], node["maintenance"], node["fault"]["code"]) == ("available", True, FAILED.code)
    assert (one["status"], one["fault"]["code"], one["found"]["state"]) == ("FAIL", FAILED.code, "failed")
    assert world.refused("POST", "/v1/servers", ORDER)[1] == "BMS.NO_NODE_FITS"
    machine.report(ordered(world, machine), JobState.SUCCEEDED, result=found("passed"))
    assert (world.node()["fault"], world.node()["maintenance"]) == (None, True)
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"maintenance": False})
    assert world.order()["server_id"]


def test_that_nothing_could_be_tested_breaks_nothing(world: World, machine: Machine) -> None:
    """The job has failed, and the node is as it was."""
    machine.report(ordered(world, machine), JobState.FAILED, fault=FAILED, result=found("skipped"))

    assert (kept(world)[0]["status"], world.node()["maintenance"], world.node()["fault"]) == ("FAIL", False, None)


@pytest.mark.parametrize("result", [{}, {"report": "fine"}, {"report": 1}])
def test_a_success_without_findings_is_none(world: World, machine: Machine, result: Result) -> None:
    """An agent that does not say what it found has tested nothing."""
    machine.report(ordered(world, machine), JobState.SUCCEEDED, result=result)

    assert kept(world)[0]["fault"]["code"] == "BMS.VALIDATION_UNTOLD"


def test_nobody_gets_a_node_that_is_being_tested(world: World, machine: Machine) -> None:
    """No server is put on it, it is not cleaned, and not tested twice; afterwards it is as free as before."""
    request = ordered(world, machine)

    assert "its hardware is being tested" in world.refused("POST", "/v1/servers", ORDER)[2]
    assert world.refused("POST", f"/v1/nodes/{machine.node_id}/clean")[1] == "BMS.BUSY"
    assert world.refused("POST", f"/v1/nodes/{machine.node_id}/validations")[1] == "BMS.BUSY"
    machine.report(request, JobState.SUCCEEDED, result=found("passed"))
    assert world.order()["server_id"]


def test_a_server_is_not_disturbed(world: World, server: Machine) -> None:
    """Neither one that is ACTIVE nor one that is in error."""
    path = f"/v1/nodes/{server.node_id}/validations"
    assert world.refused("POST", path)[:2] == (409, "BMS.IN_USE")
    world.user("PATCH", f"/v1/nodes/{server.node_id}", {"maintenance": True})

    assert world.refused("POST", path)[1] == "BMS.IN_USE" and server.desired().request is None


def test_a_node_in_error_and_one_in_maintenance_are_tested(world: World, machine: Machine) -> None:
    """That is what it is for; its state stays."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    erase = machine.desired().request
    assert erase is not None
    assert world.refused("POST", f"/v1/nodes/{machine.node_id}/validations")[1] == "BMS.BUSY"
    machine.report(erase, JobState.FAILED, fault=Fault(code="DISK.IO", message="erasing"))
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"maintenance": True})
    machine.report(ordered(world, machine), JobState.SUCCEEDED, result=found("passed"))

    node = world.node()
    assert (node["state"], node["maintenance"], node["fault"]["code"]) == ("error", True, "DISK.IO")


def test_one_that_is_shut_out_is_not(world: World, machine: Machine) -> None:
    """Nothing that it says would be heard."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/revoke", status=200)

    assert world.refused("POST", f"/v1/nodes/{machine.node_id}/validations")[:2] == (409, "BMS.STATE")


def test_it_is_called_off(world: World, machine: Machine) -> None:
    """The agent is not asked any more, which ends it; what it says late changes nothing. With nothing under way there
    is nothing to be called off, and a deploy is not."""
    path = f"/v1/nodes/{machine.node_id}/validations/cancel"
    assert world.refused("POST", path)[1] == "BMS.STATE"
    request = ordered(world, machine)
    cancelled = world.user("POST", path, status=200)
    assert (cancelled["status"], cancelled["error_code"]) == ("FAIL", "BMS.CANCELLED")
    assert machine.desired().request is None
    recalled = Fault(code="JOB.RECALLED", message="carrying out")
    machine.report(request, JobState.FAILED, fault=recalled, result=found("failed"))

    assert (kept(world)[0]["found"], world.node()["maintenance"], world.node()["job_id"]) == (None, False, None)
    world.order()
    assert world.refused("POST", path)[1] == "BMS.STATE"


def test_a_machine_that_restarts_is_asked_again(world: World, machine: Machine) -> None:
    """As a new request; if it restarts each time, the tests bring it down, and that is the finding."""
    first = ordered(world, machine)
    machine.power_on()
    second = machine.desired().request
    assert isinstance(second, ValidateRequest) and second.request_id != first.request_id
    for _ in range(4):
        machine.power_on().desired()

    assert (kept(world)[0]["fault"]["code"], world.node()["state"]) == ("BMS.INTERRUPTED", "available")
    assert machine.desired().request is None


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"profile": "forever"}, "quick"),
        ({"parts": ["gpu"]}, "cpu"),
        ({"tests": ["disk.nonesuch"]}, "no test is called disk.nonesuch"),
        ({"tests": ["disk.write"]}, "destroys what is on a disk"),
        ({"settings": {"seconds": 10**9}}, "it may be from"),
        ({"settings": {"colour": 1}}, "nothing that is chosen has a parameter colour"),
        ({"wipe": True}, "wipe"),
        ({"disks": ["SN-sda"]}, "disks"),
    ],
)
def test_an_order_that_no_agent_could_carry_out(
    world: World, machine: Machine, wanted: dict[str, Any], told: str
) -> None:
    """It is refused at once; nothing that writes to a disk can be ordered from here."""
    status, _, message = world.refused("POST", f"/v1/nodes/{machine.node_id}/validations", wanted)

    assert status in (400, 422) and told in message
    assert kept(world) == []


def test_the_last_ten_are_kept(world: World, machine: Machine) -> None:
    """The newest first."""
    for number in range(12):
        world.clock.move(1)
        request = ordered(world, machine, time_limit_s=100 + number)
        machine.report(request, JobState.SUCCEEDED, result=found("passed"))

    assert [one["order"]["time_limit_s"] for one in kept(world)] == list(range(111, 101, -1))


def test_who_may_order_it(world: World, machine: Machine) -> None:
    """Operators of the cloud; the trail says who did. A viewer reads what was found."""
    viewer, operator = person(world, "ada", "viewer"), person(world, "bob", "operator")
    path = f"/v1/nodes/{machine.node_id}/validations"
    assert viewer.code("POST", path) == (403, "AUTH.FORBIDDEN")
    assert viewer.code("POST", f"{path}/cancel") == (403, "AUTH.FORBIDDEN")
    operator.does("POST", path, {})
    operator.does("POST", f"{path}/cancel")

    [one] = viewer.does("GET", path)["validations"]
    assert one["ordered_by"] == "bob" and "bob called it off" in one["fault"]["message"]
    trail = [(entry["who"], entry["path"]) for entry in world.user("GET", "/v1/audit")]
    assert ("bob", path) in trail and ("bob", f"{path}/cancel") in trail


def test_a_node_that_waits_for_approval_is_tested(made: Any) -> None:
    """An operator may want to know before; approved meanwhile, it is available, and the test goes on."""
    strict = made(enrolment="manual")
    machine = Machine(strict, key=a_key()).power_on()
    request = ordered(strict, machine)
    fingerprint = strict.node()["fingerprint"]
    strict.user("POST", f"/v1/nodes/{machine.node_id}/approve", {"fingerprint": fingerprint}, status=200)
    assert strict.refused("POST", "/v1/servers", ORDER)[1] == "BMS.NO_NODE_FITS"
    machine.report(request, JobState.SUCCEEDED, result=found("passed"))

    assert (strict.node()["state"], kept(strict)[0]["found"]["state"]) == ("available", "passed")
