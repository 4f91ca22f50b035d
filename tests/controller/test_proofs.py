# SPDX-License-Identifier: Apache-2.0
"""ACTIVE means that the OS that was ordered has booted and said so. Everything else is not ACTIVE."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from httpx2 import Response
from pydantic import SecretStr

from agent.controller.flow.prove import prove as take_proof
from agent.controller.refusal import AgentUnauthorized
from agent.model.request import DeployRequest
from tests.controller.machine import Machine
from tests.controller.world import SHA256, URL, World


@pytest.fixture
def written(world: World, machine: Machine) -> Machine:
    """A machine whose disk was written; it has not booted yet."""
    world.order()
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.deploy(request)
    machine.boot_id = "the first boot of the OS"
    return machine


def prove(machine: Machine, **changes: Any) -> Response:
    """Return the nonce, or something like it."""
    return machine.send("/v1/agent/boot", machine.proof(**changes))


def test_written_is_not_active(world: World, written: Machine) -> None:
    """When the disk is written, the server is still BUILD, and the machine is sent to its disk."""
    assert world.server()["status"] == "BUILD"
    assert "sanboot" in written.script()
    assert world.phases(world.server()["job_id"])[-2:] == ["rebooting", "booting the installed OS"]


def test_the_nonce_makes_it_active(world: World, written: Machine) -> None:
    """The right nonce from the right disk."""
    assert prove(written).json() == {"server_id": world.server()["id"]}

    assert (world.server()["status"], world.server()["boot_proof"]) == ("ACTIVE", "agent")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": SecretStr("made up")}, "not the nonce"),
        ({"nonce": SecretStr("")}, "not the nonce"),
        ({"root_disk_wwn": "0x5000000000736462", "root_disk_serial": "SN-sdb"}, "another disk"),
        ({"root_disk_wwn": None, "root_disk_serial": "SN-sdb"}, "another disk"),
        ({"root_disk_wwn": None, "root_disk_serial": None}, "another disk"),
    ],
)
def test_a_wrong_proof_is_refused(world: World, written: Machine, changes: dict[str, Any], said: str) -> None:
    """Another nonce, another disk, or no disk named: refused, and the server stays BUILD."""
    answer = prove(written, **changes)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (403, "BOOT.PROOF_REFUSED")
    assert said in answer.json()["fault"]["message"]
    assert world.server()["status"] == "BUILD"
    assert prove(written).status_code == 200


def test_a_ramdisk_proves_nothing(world: World, written: Machine) -> None:
    """The nonce alone is not enough: the credential must be the installed OS's."""
    ramdisks = written.credential
    message = written.proof()
    written.credential = ramdisks
    answer = written.send("/v1/agent/boot", message)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (401, "AGENT.UNAUTHORIZED")
    assert world.server()["status"] == "BUILD"


def test_an_os_cannot_speak_before_its_disk_is_verified(world: World, machine: Machine) -> None:
    """Until the deploy has succeeded, what is on the drive opens nothing: an unverified disk is nobody."""
    world.order()
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.write(request)

    assert prove(machine).status_code == 401


def test_a_proof_is_good_for_one_deploy(world: World, server: Machine) -> None:
    """After a reinstall, the OS of before is nobody: a copy of the old disk does not become the server."""
    copy = Machine(world, 3, drive=server.drive, root=server.root, boot_id="of the copy")
    world.user("POST", "/v1/servers/web/reinstall")
    server.serve().serve()
    assert world.server()["status"] == "ACTIVE"

    assert prove(copy).status_code == 401


def test_an_os_that_is_overwritten_is_not_heard(world: World, server: Machine) -> None:
    """From the moment its disk is given to another deploy, its credential opens nothing at all."""
    stale = server.authorization
    world.user("POST", "/v1/servers/web/reinstall")
    server.serve()

    assert world.http.get("/v1/agent/desired", headers=stale).status_code == 401


def test_a_proof_that_was_overtaken_is_refused(world: World, server: Machine) -> None:
    """A credential that was good when the message came, and belongs to an earlier deploy when it is looked at."""
    with world.controller.read() as tx:
        credential = tx.credentials.find(mode="service")
    assert credential is not None
    overtaken = credential.model_copy(update={"request_id": "an:earlier:deploy"})

    with pytest.raises(AgentUnauthorized):
        take_proof(world.controller, overtaken, server.proof())


def test_a_copy_of_the_disk_in_another_machine_is_noticed(world: World, server: Machine) -> None:
    """It has the nonce, and another disk."""
    copy = Machine(world, 3, drive=server.drive, root=server.root, boot_id="of the copy")

    assert prove(copy, root_disk_wwn="0x5000000000ffffff").json()["fault"]["code"] == "BOOT.PROOF_REFUSED"
    assert server.beat().current


def test_the_service_may_start_again(world: World, server: Machine) -> None:
    """Each start of the service proves the boot again; the server stays ACTIVE, and the new run speaks."""
    server.prove()

    assert server.beat().current
    assert world.server()["status"] == "ACTIVE"


def test_an_os_that_never_answers_is_an_error(world: World, written: Machine) -> None:
    """After half an hour: ERROR with its own code; and still, a late answer is the truth."""
    world.look(1700)
    assert world.server()["status"] == "BUILD"
    world.look(200)

    server = world.server()
    assert (server["status"], server["fault"]["code"]) == ("ERROR", "BMS.BOOT_UNCONFIRMED")
    assert "boot order" in server["fault"]["hint"]
    assert "sanboot" in written.script()
    prove(written)
    assert (world.server()["status"], world.server()["fault"]) == ("ACTIVE", None)
    assert world.node()["state"] == "active"


@pytest.fixture
def foreign(world: World, machine: Machine) -> Machine:
    """A machine whose disk was written with an image in which our service is not."""
    world.user("POST", "/v1/images", {"name": "other", "format": "raw", "url": f"{URL}/o", "sha256": SHA256})
    world.order(image="other")
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.deploy(request)
    return machine


def phone_home_path(machine: Machine) -> str:
    """What cloud-init is told to call."""
    assert machine.drive is not None
    vendor = json.loads(machine.drive["openstack/latest/vendor_data.json"])["cloud-init"]
    assert vendor.startswith("#cloud-config\n")
    found = re.search(r'"url": "(\S+)"', vendor)
    assert found is not None
    return found[1].removeprefix(URL)


def test_cloud_init_may_speak_for_a_foreign_image(world: World, foreign: Machine) -> None:
    """Its call makes the server ACTIVE, and the server says by whom."""
    answer = world.http.post(phone_home_path(foreign), data={"instance_id": "i", "hostname": "web"})

    assert answer.status_code == 204
    assert (world.server()["status"], world.server()["boot_proof"]) == ("ACTIVE", "cloud-init")
    assert world.server()["host_status"] == "UNKNOWN"


def test_cloud_init_of_a_revoked_node_is_not_heard(world: World, foreign: Machine) -> None:
    """It ends no job, until the node is approved again."""
    world.user("POST", f"/v1/nodes/{foreign.node_id}/revoke")

    assert world.http.post(phone_home_path(foreign)).status_code == 401
    assert world.server()["status"] == "BUILD"
    world.user("POST", f"/v1/nodes/{foreign.node_id}/approve", status=200)
    assert world.http.post(phone_home_path(foreign)).status_code == 204


def test_the_service_outweighs_cloud_init(world: World, foreign: Machine) -> None:
    """If our service is in the image after all, its proof is the one that is shown, whoever came first."""
    path = phone_home_path(foreign)
    world.http.post(path)
    prove(foreign)
    world.http.post(path)

    assert world.server()["boot_proof"] == "agent"


def test_cloud_inits_nonce_is_for_one_server(world: World, foreign: Machine) -> None:
    """A nonce that is nobody's, is over, or is used as a credential, opens nothing."""
    path = phone_home_path(foreign)
    nonce = path.rpartition("/")[2]

    assert world.http.post("/v1/agent/phone-home/made-up").status_code == 401
    bearer = {"Authorization": f"Bearer {nonce}"}
    assert world.http.get("/v1/agent/desired", headers=bearer).status_code == 401
    world.http.post(path)
    world.user("DELETE", "/v1/servers/web")
    foreign.power_on().serve()
    assert world.http.post(path).status_code == 401


def test_our_image_needs_no_cloud_init(world: World, written: Machine) -> None:
    """An image with our service gets no phone_home."""
    assert written.drive is not None

    assert json.loads(written.drive["openstack/latest/vendor_data.json"]) == {}
