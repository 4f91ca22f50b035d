# SPDX-License-Identifier: Apache-2.0
"""Reports: doubled, reordered, late, of requests that are over."""

from __future__ import annotations

import pytest

from agent.errors import DigestMismatch, ImageTooLarge, ImageTruncated, NoDiskMatches
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.request import DeployRequest
from tests.controller.machine import Machine, disk
from tests.controller.world import World


def fault(error: type[Exception] = DigestMismatch) -> Fault:
    """As an agent would send it."""
    return Fault.of(error("writing image to /dev/sda", "it is not the image that was named"))


def ordered(world: World, machine: Machine) -> DeployRequest:
    """The deploy of a new server."""
    world.order()
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    return request


def test_a_doubled_report_counts_once(world: World, machine: Machine) -> None:
    """The same batch again is acknowledged again, and the timeline has every phase once."""
    request = ordered(world, machine)
    batch = [
        machine.entry(1, request, JobState.ACCEPTED),
        machine.entry(2, request, JobState.RUNNING, "write_image"),
        machine.entry(3, request, JobState.RUNNING, "seal_disk"),
    ]
    answers = [machine.send_reports(*batch[:2]), machine.send_reports(*batch[:2]), machine.send_reports(*batch)]

    assert [answer.acknowledged for answer in answers] == [2, 2, 3]
    assert world.phases(world.server()["job_id"]) == ["waiting for the agent", "write_image", "seal_disk"]


def test_reports_in_the_wrong_order_are_put_right(world: World, machine: Machine) -> None:
    """Within a batch the sequence decides; a batch that was overtaken changes nothing any more."""
    request = ordered(world, machine)
    late = machine.entry(1, request, JobState.RUNNING, "write_image")
    batch = [machine.entry(3, request, JobState.SUCCEEDED), machine.entry(2, request, JobState.RUNNING, "seal_disk")]

    assert machine.send_reports(*batch).acknowledged == 3
    assert machine.send_reports(late).acknowledged == 3
    assert world.phases(world.server()["job_id"]) == ["waiting for the agent", "seal_disk", "rebooting"]


def test_a_report_of_nothing_known_is_acknowledged(world: World, machine: Machine) -> None:
    """An outbox with old reports empties; they change nothing."""
    request = ordered(world, machine)
    strange = request.model_copy(update={"request_id": "of:another:life"})

    assert machine.report(strange, JobState.FAILED, fault=fault()).acknowledged == 1
    assert world.server()["status"] == "BUILD"


def test_another_nodes_report_means_nothing(world: World, machine: Machine) -> None:
    """A node can only speak of its own requests."""
    request = ordered(world, machine)
    other = Machine(world, 2).power_on()
    for state in (JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED):
        other.report(request, state, "write_image", fault=fault())

    assert world.server()["status"] == "BUILD"
    assert world.phases(world.server()["job_id"]) == ["waiting for the agent"]
    assert {node["boot_target"] for node in world.user("GET", "/v1/nodes")} == {"ramdisk"}


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
def test_a_final_report_is_final(world: World, machine: Machine, state: JobState) -> None:
    """Told once more by an outbox that was begun anew, it changes nothing, whatever it says now."""
    request = ordered(world, machine)
    machine.deploy(request)
    machine.stream_id, machine.reported = "begun anew", 0

    assert machine.report(request, state, fault=fault()).acknowledged == 1
    assert world.phases(world.server()["job_id"])[-1] == "rebooting"
    machine.power_on()
    assert world.server()["status"] == "ACTIVE"


def test_a_failed_deploy_is_told_as_it_happened(world: World, machine: Machine) -> None:
    """The server is in ERROR with the agent's own fault, word by word, and its time; the node is in error too."""
    request = ordered(world, machine)
    machine.report(request, JobState.FAILED, fault=fault())

    server = world.server()
    assert (server["status"], server["task_state"]) == ("ERROR", None)
    assert {name: server["fault"][name] for name in Fault.model_fields} == fault().model_dump()
    assert server["fault"]["created"]
    job = world.job(server["job_id"])
    assert (job["status"], job["error_code"]) == ("FAIL", "IMAGE.DIGEST_MISMATCH")
    assert (world.node()["state"], world.node()["fault"]["code"]) == ("error", "IMAGE.DIGEST_MISMATCH")


@pytest.mark.parametrize("error", [ImageTooLarge, NoDiskMatches])
def test_faults_that_do_not_pass_are_not_tried_again(world: World, machine: Machine, error: type[Exception]) -> None:
    """One attempt, and no second request."""
    request = ordered(world, machine)
    machine.report(request, JobState.FAILED, fault=fault(error))

    assert machine.desired().request is None
    assert world.server()["status"] == "ERROR"


def test_faults_that_may_pass_are_tried_again(world: World, machine: Machine) -> None:
    """A cut connection gets a new request, which may overwrite what the last one wrote; after three it is over."""
    world.order()
    ids, overwrites = [], []
    for _ in range(3):
        assert world.server()["status"] == "BUILD"
        request = machine.desired().request
        assert isinstance(request, DeployRequest)
        ids.append(request.request_id)
        overwrites.append(request.overwrite)
        machine.report(request, JobState.RUNNING, "write_image")
        machine.report(request, JobState.FAILED, fault=fault(ImageTruncated))

    assert len(set(ids)) == 3
    assert overwrites == [False, True, True]
    assert world.server()["fault"]["code"] == "IMAGE.TRUNCATED"
    phases = world.phases(world.server()["job_id"])
    assert phases == [
        "waiting for the agent",
        "write_image",
        "attempt 2",
        "write_image",
        "attempt 3",
        "write_image",
    ]


def test_a_deploy_that_touched_nothing_may_not_overwrite_later(world: World, machine: Machine) -> None:
    """A refusal before the first write leaves the disk what it was: not the server's own."""
    request = ordered(world, machine)
    machine.report(request, JobState.FAILED, fault=fault(ImageTooLarge))
    world.user("POST", "/v1/servers/web/reinstall")
    again = machine.desired().request

    assert isinstance(again, DeployRequest)
    assert not again.overwrite


def test_the_hint_of_the_pinned_disk_is_sent_again(world: World, machine: Machine) -> None:
    """A disk that appears later and would be preferred changes nothing: the server has its disk."""
    request = ordered(world, machine)
    machine.report(request, JobState.FAILED, fault=fault())
    machine.disks = (disk("sda"), disk("sdb", 20))
    machine.power_on()
    world.user("POST", "/v1/servers/web/reinstall")
    again = machine.desired().request

    assert isinstance(again, DeployRequest)
    assert again.root_device == request.root_device
