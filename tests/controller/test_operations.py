# SPDX-License-Identifier: Apache-2.0
"""Start, stop, reboot, reinstall, delete: by the agent in the OS, by the BMC, by a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.controller.records.job import Reset
from agent.controller.records.node import Power
from agent.model.job import JobState
from agent.model.request import DeployRequest
from tests.controller.machine import Machine
from tests.controller.world import SHA256, URL, World

OFF_AND_ON = [Reset.FORCE_OFF, Reset.ON]
BMC = {"address": "https://10.0.0.9/redfish/v1/Systems/1", "username": "admin", "password": "swordfish"}


def do(world: World, what: str, status: int = 202, **body: Any) -> Any:
    """Order something of the server."""
    return world.user("POST", f"/v1/servers/web/{what}", body or None, status=status)


def refused(world: World, what: str, **body: Any) -> str:
    """The code of a refusal."""
    return world.refused("POST", f"/v1/servers/web/{what}", body or None)[1]


@pytest.fixture
def with_bmc(world: World, server: Machine) -> Machine:
    """An ACTIVE server whose node has a BMC."""
    world.user("PATCH", f"/v1/nodes/{server.node_id}", {"bmc": BMC})
    return server


@pytest.fixture
def foreign(world: World, machine: Machine) -> Machine:
    """An ACTIVE server without our service, whose node has a BMC."""
    world.user("POST", "/v1/images", {"name": "other", "format": "raw", "url": f"{URL}/o", "sha256": SHA256})
    world.order(image="other")
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.deploy(request)
    assert machine.drive is not None
    vendor = json.loads(machine.drive["openstack/latest/vendor_data.json"])["cloud-init"]
    world.http.post(vendor.partition('"url": "')[2].partition('"')[0].removeprefix(URL))
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})
    world.clock.move(3600)
    return machine


def test_the_os_is_asked_to_stop(world: World, server: Machine) -> None:
    """Its agent switches it off; when it has been silent for a while, it is SHUTOFF."""
    job = do(world, "stop")
    assert (world.server()["status"], world.server()["task_state"]) == ("ACTIVE", "powering-off")
    server.serve()
    world.look(10)
    assert world.server()["status"] == "ACTIVE"
    world.look(15)

    assert server.seen[-1] == "power.off"
    assert (world.server()["status"], world.server()["power_state"]) == ("SHUTOFF", 4)
    assert world.job(job["job_id"])["status"] == "SUCCESS"


def test_a_stopped_server_is_started_by_hand(world: World, server: Machine) -> None:
    """Without a BMC the job waits for a person, however long; the nonce ends it."""
    do(world, "stop")
    server.serve()
    world.look(30)
    job = do(world, "start")
    assert world.server()["task_state"] == "powering-on"
    world.look(86400)
    assert world.phases(job["job_id"]) == ["waiting for someone to power the machine on"]
    server.power_on()

    assert (world.server()["status"], world.job(job["job_id"])["status"]) == ("ACTIVE", "SUCCESS")
    assert world.phases(job["job_id"])[-1] == "booting the installed OS"


def test_a_server_that_somebody_switches_on_is_active(world: World, server: Machine) -> None:
    """Even if nobody ordered it: it is the truth."""
    do(world, "stop")
    server.serve()
    world.look(30)
    server.power_on()

    assert world.server()["status"] == "ACTIVE"


def test_the_bmc_switches_on_and_off(world: World, with_bmc: Machine) -> None:
    """HARD tells the BMC, and believes it only when it says Off; start tells it On, and believes the nonce."""
    do(world, "stop", type="HARD")
    world.look()
    assert world.power.told == [Reset.FORCE_OFF]
    assert world.server()["status"] == "SHUTOFF"

    do(world, "start")
    world.look()
    assert world.power.told == [Reset.FORCE_OFF, Reset.ON]
    assert world.server()["status"] == "SHUTOFF"
    with_bmc.power_on()
    assert world.server()["status"] == "ACTIVE"


def test_a_soft_stop_that_is_not_answered_turns_hard(world: World, with_bmc: Machine) -> None:
    """An OS that hangs is asked, waited for, and then switched off by its BMC."""
    do(world, "stop")
    world.look(290)
    assert world.power.told == []
    world.look(20)
    world.look()

    assert world.power.told == [Reset.FORCE_OFF]
    assert world.server()["status"] == "SHUTOFF"


def test_a_machine_that_erases_keeps_its_power(world: World, machine: Machine) -> None:
    """Once it has taken up to erase, its silence is waited for for hours, and that is told, before its BMC is used."""
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})
    job = world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)["job_id"]
    world.look()
    assert machine.power_on().desired().request is not None
    assert world.power.told == OFF_AND_ON
    world.look(3600)
    assert world.power.told == OFF_AND_ON and world.phases(job)[-1] == "erasing, and not heard of: left alone for hours"
    machine.desired()
    world.look()
    assert world.phases(job)[-1] == "erasing"
    world.look(13 * 3600)
    world.look()

    assert world.power.told == [*OFF_AND_ON, *OFF_AND_ON]


def test_a_machine_that_stays_on_is_not_shutoff(world: World, with_bmc: Machine) -> None:
    """The agent said that it switches off, the BMC says it is on: the BMC is believed."""
    do(world, "stop")
    with_bmc.serve()
    world.look(60)

    assert world.server()["status"] == "ACTIVE"
    world.power.power = Power.OFF
    world.look()
    assert world.server()["status"] == "SHUTOFF"


def test_a_stop_without_an_answer_and_a_bmc_fails(world: World, server: Machine) -> None:
    """The job fails and says why; the server is what it was."""
    job = do(world, "stop")
    world.look(301)

    assert world.job(job["job_id"])["error_code"] == "BMS.NO_ANSWER"
    assert (world.server()["status"], world.server()["task_state"]) == ("ACTIVE", None)


def test_what_cannot_be_switched_is_refused(world: World, server: Machine) -> None:
    """HARD without a BMC, and an OS that is not heard of without a BMC."""
    assert refused(world, "stop", type="HARD") == "BMS.NO_POWER_CONTROL"
    world.clock.move(600)
    assert refused(world, "stop") == "BMS.NO_POWER_CONTROL"
    assert refused(world, "reboot") == "BMS.NO_POWER_CONTROL"


def test_the_os_is_asked_to_reboot(world: World, server: Machine) -> None:
    """REBOOT until the OS says from another boot that it is there; a new run of the service is not one."""
    job = do(world, "reboot")
    assert (world.server()["status"], world.server()["task_state"]) == ("REBOOT", "rebooting")
    server.prove()
    assert world.server()["status"] == "REBOOT"
    server.serve()

    assert (world.server()["status"], world.job(job["job_id"])["status"]) == ("ACTIVE", "SUCCESS")


def test_an_earlier_boots_proof_ends_no_reboot(world: World, server: Machine) -> None:
    """A proof of the boot before, delayed on its way, is answered and means nothing."""
    delayed = server.proof()
    server.power_on()
    do(world, "reboot")

    assert server.send("/v1/agent/boot", delayed).status_code == 200
    assert world.server()["status"] == "REBOOT"


def test_the_bmc_reboots(world: World, with_bmc: Machine) -> None:
    """HARD_REBOOT, by its BMC."""
    do(world, "reboot", type="HARD")
    assert (world.server()["status"], world.server()["task_state"]) == ("HARD_REBOOT", "reboot_started_hard")
    world.look()
    assert world.power.told == [Reset.FORCE_RESTART]
    with_bmc.power_on()

    assert world.server()["status"] == "ACTIVE"


def test_a_reboot_from_which_nobody_returns_is_an_error(world: World, server: Machine) -> None:
    """And a late return makes it ACTIVE."""
    do(world, "reboot")
    request = server.desired().request
    assert request is not None
    server.report(request, JobState.SUCCEEDED)
    world.look(1801)
    assert world.server()["fault"]["code"] == "BMS.BOOT_UNCONFIRMED"
    server.power_on()

    assert world.server()["status"] == "ACTIVE"


def test_a_broken_bmc_fails_the_job(world: World, with_bmc: Machine) -> None:
    """With the BMC's own code."""
    world.power.broken = True
    job = do(world, "stop", type="HARD")
    world.look()

    assert world.job(job["job_id"])["error_code"] == "BMC.ERROR"
    assert world.server()["status"] == "ACTIVE"


def test_a_foreign_image_is_switched_by_its_bmc(world: World, foreign: Machine) -> None:
    """Without our service in the OS every word goes to the BMC; the firmware's question shows that it starts."""
    do(world, "reboot")
    world.look()
    assert world.power.told == [Reset.FORCE_RESTART]
    assert world.server()["status"] == "HARD_REBOOT"
    assert "sanboot" in foreign.script()

    assert world.server()["status"] == "ACTIVE"


def test_reinstall_keeps_addresses_and_key(world: World, server: Machine) -> None:
    """The same image on the same disk with the same addresses and key; new secrets, and no user data again."""
    before = world.server()
    assert server.drive is not None
    old = server.identity()
    job = do(world, "reinstall")
    assert (world.server()["status"], world.server()["task_state"]) == ("SHUTOFF", "rebuilding")
    server.serve()
    request = server.desired().request
    assert isinstance(request, DeployRequest)
    assert request.overwrite
    server.serve()

    after = world.server()
    assert server.seen == ["image.deploy", "power.reboot", "image.deploy"]
    assert (after["status"], world.job(job["job_id"])["status"]) == ("ACTIVE", "SUCCESS")
    assert [one["address"] for one in after["addresses"]] == [one["address"] for one in before["addresses"]]
    assert "me" in json.loads(server.drive["openstack/latest/meta_data.json"])["public_keys"]
    assert server.identity().nonce != old.nonce
    assert server.identity().credential != old.credential


def test_user_data_is_for_the_first_boot(world: World, machine: Machine) -> None:
    """It is on the first config drive, and not on the one of a reinstall."""
    world.order(user_data="I2Nsb3VkLWNvbmZpZwo=")
    machine.serve()
    assert machine.drive is not None
    assert machine.drive["openstack/latest/user_data"] == "#cloud-config\n"
    do(world, "reinstall")
    machine.serve().serve()

    assert "openstack/latest/user_data" not in machine.drive


def test_a_failed_reinstall_can_be_tried_again(world: World, server: Machine) -> None:
    """From ERROR, as often as wanted."""
    do(world, "reinstall")
    server.serve()
    request = server.desired().request
    assert request is not None
    server.report(request, JobState.FAILED)
    assert world.server()["status"] == "ERROR"
    do(world, "reinstall")
    server.serve()

    assert world.server()["status"] == "ACTIVE"


def test_a_dead_machine_is_brought_into_the_ramdisk_by_its_bmc(world: World, with_bmc: Machine) -> None:
    """A delete does not depend on the OS: the BMC switches it off and on, or just on."""
    world.power.power = Power.OFF
    world.user("DELETE", "/v1/servers/web")
    world.look(10)
    assert world.power.told == [Reset.ON]
    assert world.phases(world.server()["job_id"])[-1] == "restarting by BMC into the ramdisk"
    with_bmc.power_on().serve()

    assert world.node()["state"] == "available"


def test_the_bmc_is_asked_again_after_a_long_while(world: World, with_bmc: Machine) -> None:
    """A real server takes minutes to start: it is not interrupted; after half an hour it is told once more."""
    world.user("DELETE", "/v1/servers/web")
    for _ in range(10):
        world.look(170)
    assert world.power.told == OFF_AND_ON
    for _ in range(4):
        world.look(170)

    assert world.power.told == [*OFF_AND_ON, *OFF_AND_ON]


def test_a_bmc_that_is_broken_does_not_end_a_delete(world: World, with_bmc: Machine) -> None:
    """It goes on waiting, and says why. Once the operator says that the node has none, somebody may switch it."""
    world.power.broken = True
    world.user("DELETE", "/v1/servers/web")
    world.look(400)
    world.look(10)
    assert world.node()["fault"]["code"] == "BMC.ERROR"
    assert "waits for the controller" in with_bmc.script()
    world.user("PATCH", f"/v1/nodes/{with_bmc.node_id}", {"bmc": None})
    with_bmc.power_on().serve()

    assert world.node()["state"] == "available"


def test_without_a_bmc_a_delete_waits_for_someone(world: World, server: Machine) -> None:
    """A dead machine without a BMC needs a person, and the job says so; it never ends by itself."""
    job = world.user("DELETE", "/v1/servers/web")
    for _ in range(20):
        world.look(3600)

    assert world.phases(job["job_id"])[-1] == "waiting for someone to boot the machine into the ramdisk"
    server.power_on().serve()
    assert world.job(job["job_id"])["status"] == "SUCCESS"


def test_a_node_that_is_off_is_switched_on_for_its_server(world: World, machine: Machine) -> None:
    """An available machine that was switched off is started by its BMC when it gets a server."""
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})
    world.power.power = Power.OFF
    world.clock.move(7200)
    world.order()
    world.look()

    assert world.power.told == [Reset.ON]
    machine.power_on().serve()
    assert world.server()["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("running", "then", "code"),
    [
        ("stop", "start", "BMS.0036"),
        ("stop", "stop", "BMS.0036"),
        ("reboot", "stop", "BMS.0037"),
        ("reinstall", "reboot", "BMS.BUSY"),
    ],
)
def test_orders_wait_for_each_other(world: World, server: Machine, running: str, then: str, code: str) -> None:
    """While one is carried out, the next is refused with the code that says what is going on."""
    do(world, running)

    assert refused(world, then) == code


def test_orders_that_make_no_sense(world: World, server: Machine) -> None:
    """Start what runs, stop what is stopped, anything of what is not there."""
    assert refused(world, "start") == "BMS.0038"
    do(world, "stop")
    server.serve()
    world.look(30)
    assert refused(world, "stop") == "BMS.0039"
    assert world.refused("POST", "/v1/servers/nobody/stop")[:2] == (404, "BMS.0040")


def test_a_deleted_server_is_gone(world: World, server: Machine) -> None:
    """It is not listed, its name and address are free, and nothing can be ordered of it."""
    server_id = world.server()["id"]
    world.user("DELETE", "/v1/servers/web")
    assert world.refused("DELETE", "/v1/servers/web")[1] == "BMS.BUSY"
    server.serve().serve()

    assert world.user("GET", "/v1/servers") == []
    assert [one["id"] for one in world.user("GET", "/v1/servers?deleted=true")] == [server_id]
    assert world.refused("POST", f"/v1/servers/{server_id}/start")[1] == "BMS.0040"
    assert world.refused("GET", "/v1/servers/web")[:2] == (404, "BMS.0040")
    world.order()
    assert world.server()["addresses"][0]["address"] == "10.1.0.2"


def test_a_node_with_a_server_is_not_cleaned(world: World, server: Machine) -> None:
    """That is done by deleting the server."""
    assert world.refused("POST", f"/v1/nodes/{server.node_id}/clean")[1] == "BMS.IN_USE"
