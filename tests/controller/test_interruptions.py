# SPDX-License-Identifier: Apache-2.0
"""Bad luck in the middle: machines killed, controllers restarted, erases that fail. Nothing is lost or lied about."""

from __future__ import annotations

import pytest

from agent.errors import DeviceError
from agent.model.config_drive import ConfigDrive
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.protocol import ServiceIdentity
from agent.model.request import DeployRequest, EraseRequest, Request
from tests.controller.machine import Machine
from tests.controller.world import World

BAD_DISK = Fault.of(DeviceError("erasing /dev/sda", "input/output error"))


def begun(world: World, machine: Machine) -> DeployRequest:
    """A deploy that writes the disk."""
    world.order()
    request = taken(machine)
    machine.report(request, JobState.RUNNING, "write_image")
    return request


def taken(machine: Machine) -> DeployRequest:
    """The deploy that the machine is asked for."""
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    return request


def test_a_killed_machine_is_deployed_again(world: World, machine: Machine) -> None:
    """When it comes back into the ramdisk, the job goes on under a new request that may overwrite its own half."""
    first = begun(world, machine)
    machine.power_on()
    second = taken(machine)

    assert second.request_id != first.request_id
    assert second.overwrite
    machine.serve()
    server = world.server()
    assert server["status"] == "ACTIVE"
    assert "attempt 2" in world.phases(server["job_id"])


def test_a_machine_killed_before_it_was_asked_loses_nothing(world: World, machine: Machine) -> None:
    """A request that no boot has taken is not spent."""
    world.order()
    machine.power_on()

    assert taken(machine).request_id.endswith(":1")


def test_an_agent_that_was_killed_goes_on(world: World, machine: Machine) -> None:
    """Another run of the agent in the same boot gets the same request again: its journal knows how far it was."""
    first = begun(world, machine)
    machine.enrol()

    assert taken(machine) == first


def test_a_dead_boots_report_does_not_disturb_the_new_attempt(world: World, machine: Machine) -> None:
    """Success or failure of an abandoned request, told late, is acknowledged and means nothing."""
    first = begun(world, machine)
    machine.power_on()
    taken(machine)
    for state in (JobState.SUCCEEDED, JobState.FAILED):
        assert machine.report(first, state, fault=BAD_DISK).acknowledged

    assert world.server()["status"] == "BUILD"
    assert world.node()["boot_target"] == "ramdisk"


def test_a_lost_last_report_means_another_attempt(world: World, machine: Machine) -> None:
    """Killed after the disk was sealed and before that was told: it is not known, so it is not believed."""
    first = begun(world, machine)
    machine.write(first)
    assert "bms.token" in machine.script()
    unreported = machine.identity().nonce
    machine.power_on()
    machine.serve()

    assert world.server()["status"] == "ACTIVE"
    assert machine.identity().nonce != unreported


def test_a_machine_that_is_killed_again_and_again_is_given_up(world: World, machine: Machine) -> None:
    """After five attempts: ERROR, with its own code, and a job that says so."""
    world.order()
    for _ in range(5):
        taken(machine)
        machine.power_on()

    server = world.server()
    assert (server["status"], server["fault"]["code"]) == ("ERROR", "BMS.INTERRUPTED")
    assert machine.desired().request is None


def test_a_machine_killed_while_it_boots_comes_to_its_disk(world: World, machine: Machine) -> None:
    """Once the disk is written, the machine is sent to it at every start, and the job waits on."""
    begun(world, machine)
    machine.deploy(taken(machine))
    for _ in range(3):
        assert "sanboot" in machine.script()
    machine.power_on()

    assert world.server()["status"] == "ACTIVE"


def test_the_controller_restarts_in_the_middle(world: World, machine: Machine) -> None:
    """Another process on the same data goes on: same generations, same requests, same secrets, nothing lost."""
    first = begun(world, machine)
    generation = machine.generation
    world.restart()

    assert machine.desired().generation == generation
    assert taken(machine) == first
    machine.deploy(first)
    world.restart()
    machine.power_on()
    world.restart()
    assert world.server()["status"] == "ACTIVE"
    assert machine.beat().current


def test_a_request_stays_as_it_was_given(world: World, machine: Machine) -> None:
    """The controller that is back would say it otherwise (agents call by TLS from now on): the same id has the same
    content, or its agent would end the deploy and refuse to go on. What it holds is secret, and forgotten with its job.
    """
    first = begun(world, machine)
    generation = machine.generation
    more = {"listen_tls": "127.0.0.1:8481", "require_certificates": False}
    world.options = world.options.model_copy(update=more)
    world.restart()

    assert (taken(machine), machine.generation) == (first, generation)
    kept = b"".join(path.read_bytes() for path in world.options.data.glob("controller.sqlite*"))
    assert first.request_id.encode() in kept
    assert isinstance(first.config_drive, ConfigDrive)
    identity = first.config_drive.files["bms-agent/service.json"].get_secret_value()
    assert ServiceIdentity.model_validate_json(identity).nonce.get_secret_value().encode() not in kept
    machine.serve()
    assert world.server()["status"] == "ACTIVE"
    with world.controller.read() as tx:
        assert [one.given for one in tx.assignments.all()] == [None]


def test_a_newer_controller_does_not_change_a_request(world: World, server: Machine) -> None:
    """Brought up to date, or set otherwise, in the middle of an erasure: this one is as it was ordered."""
    world.user("DELETE", "/v1/servers/web")
    server.serve()
    first = server.desired().request
    assert isinstance(first, EraseRequest)
    world.options = world.options.model_copy(update={"show_hidden": not world.options.show_hidden})
    world.restart()

    assert server.desired().request == first
    server.power_on()
    again = server.desired().request
    assert isinstance(again, EraseRequest)
    assert (again.request_id != first.request_id, again.show_hidden != first.show_hidden) == (True, True)


def test_a_request_that_cannot_be_read_is_composed(world: World, machine: Machine) -> None:
    """Its key is lost: the agent is told something all the same, and the controller's log has it."""
    first = begun(world, machine)
    with world.controller.write() as tx:
        held = tx.assignments.get(first.request_id)
        assert held is not None
        tx.assignments.change(held, given="another key's")

    assert taken(machine) == first
    assert "cannot be read as it was given" in world.log.getvalue()


def test_the_controllers_own_absence_is_nobodys_fault(world: World, machine: Machine) -> None:
    """A controller that was away for a day does not declare the boot failed the moment it is back."""
    begun(world, machine)
    machine.deploy(taken(machine))
    world.clock.move(86400)
    world.restart()
    world.look()
    assert world.server()["status"] == "BUILD"

    world.look(1801)
    assert world.server()["fault"]["code"] == "BMS.BOOT_UNCONFIRMED"


def test_a_deploy_that_falls_silent_is_an_error(world: World, machine: Machine) -> None:
    """Without any word for an hour, and no BMC to help, it has failed."""
    begun(world, machine)
    for _ in range(11):
        world.look(310)
    assert world.server()["status"] == "BUILD"
    assert world.phases(world.server()["job_id"])[-1] == "waiting for someone to boot the machine into the ramdisk"
    world.look(600)

    assert world.server()["fault"]["code"] == "BMS.NODE_SILENT"


def erase_fails(world: World, machine: Machine) -> None:
    """The server is deleted, and its disk cannot be erased."""
    world.user("DELETE", "/v1/servers/web")
    machine.serve()
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    machine.report(request, JobState.RUNNING, "erase_disks")
    machine.report(request, JobState.FAILED, fault=BAD_DISK)


def test_a_failed_erase_is_not_an_available_node(world: World, server: Machine) -> None:
    """The server stays, in ERROR with the fault; the node is in error and gets no other server."""
    erase_fails(world, server)

    assert (world.server()["status"], world.server()["fault"]["code"]) == ("ERROR", "HOST.DEVICE_ERROR")
    assert (world.node()["state"], world.node()["clean"]) == ("error", False)
    order = {"name": "next", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}
    assert "node is error" in world.refused("POST", "/v1/servers", order)[2]


def test_deleting_again_erases_again(world: World, server: Machine) -> None:
    """Under a new request; when it works, the node is available."""
    erase_fails(world, server)
    world.user("DELETE", "/v1/servers/web")
    server.serve()

    assert server.seen[-1] == "disk.erase"
    assert (world.node()["state"], world.node()["clean"]) == ("available", True)


def test_a_half_erased_os_is_nobody(world: World, server: Machine) -> None:
    """Once the erase was asked for, the OS that was there can prove nothing, even if its disk still boots."""
    erase_fails(world, server)

    assert server.send("/v1/agent/boot", server.proof()).status_code == 401
    assert world.server()["status"] == "ERROR"


def test_an_erase_that_was_cut_off_begins_again(world: World, server: Machine) -> None:
    """A machine killed while it erases is erased in its next boot; it is never available before."""
    world.user("DELETE", "/v1/servers/web")
    server.serve()
    request: Request | None = server.desired().request
    assert request is not None
    server.report(request, JobState.RUNNING, "erase_disks")
    server.power_on()
    assert world.node()["state"] == "cleaning"
    server.serve()

    assert world.node()["state"] == "available"


@pytest.mark.parametrize("written", [False, True])
def test_a_server_that_is_being_built_can_be_deleted(world: World, machine: Machine, written: bool) -> None:
    """Whatever it is at: the deploy is given up, the disk erased, the node available; what it reports late is void."""
    ordered = world.order()
    request = taken(machine)
    machine.report(request, JobState.RUNNING, "write_image")
    if written:
        machine.deploy(request)
    world.user("DELETE", "/v1/servers/web")
    assert world.job(ordered["job_id"])["error_code"] == "BMS.SUPERSEDED"
    machine.report(request, JobState.SUCCEEDED)

    assert "bms.token" in machine.script()
    if written:
        machine.power_on()
    machine.serve()
    assert machine.seen == ["disk.erase"]
    assert world.node()["state"] == "available"
    assert world.user("GET", f"/v1/servers/{ordered['server_id']}")["status"] == "DELETED"


def test_an_os_that_will_not_go_is_given_up(world: World, server: Machine) -> None:
    """A machine that boots its disk although it is sent into the ramdisk is asked again, and in the end told of."""
    world.user("DELETE", "/v1/servers/web")
    for at in range(5):
        request = server.desired().request
        assert request is not None
        assert request.verb == "power.reboot"
        server.report(request, JobState.SUCCEEDED)
        server.boot_id = f"again {at}"
        server.prove()

    assert world.server()["fault"]["code"] == "BMS.INTERRUPTED"
    assert "boot order" in world.server()["fault"]["hint"]


def test_a_deleted_server_never_turns_active(world: World, server: Machine) -> None:
    """An OS that comes back while its server is deleted is told to reboot, and the server stays what it was."""
    world.user("DELETE", "/v1/servers/web")
    server.boot_id = "its own disk again"
    server.prove()

    assert world.server()["task_state"] == "deleting"
    request = server.desired().request
    assert request is not None
    assert request.verb == "power.reboot"
