# SPDX-License-Identifier: Apache-2.0
"""The main job: a machine is taken in, becomes a server, and is given back."""

from __future__ import annotations

import json

from agent.model.config_drive import ConfigDrive
from agent.model.disk import RootDeviceHints
from agent.model.network import Ethernet, LinkState, NetworkState
from agent.model.request import DeployRequest
from tests.controller.machine import Machine
from tests.controller.world import URL, World


def test_a_machine_that_boots_is_taken_in(world: World) -> None:
    """It appears as an available node with its inventory, without anybody having named it before."""
    Machine(world).power_on().beat()

    node = world.node()
    assert (node["state"], node["host_status"], node["mode"]) == ("available", "UP", "ramdisk")
    assert node["name"] == "node-525400000101"
    assert [disk["name"] for disk in node["inventory"]["disks"]] == ["sda", "sdb"]


def test_from_order_to_active_and_back(world: World, machine: Machine) -> None:
    """BUILD, the image written, ACTIVE by the nonce alone; deleted, the node is erased and available again."""
    ordered = world.order()
    assert (world.server()["status"], world.node()["state"]) == ("BUILD", "deploying")

    machine.serve()

    server = world.server()
    assert (server["status"], server["task_state"], server["boot_proof"]) == ("ACTIVE", None, "agent")
    assert (server["power_state"], server["vm_state"]) == (1, "active")
    assert world.job(ordered["job_id"])["status"] == "SUCCESS"
    assert world.node()["state"] == "active"

    deleted = world.user("DELETE", "/v1/servers/web", status=202)
    assert (world.server()["status"], world.server()["task_state"]) == ("ACTIVE", "deleting")
    machine.serve().serve()

    assert machine.seen == ["image.deploy", "power.reboot", "disk.erase"]
    assert world.job(deleted["job_id"])["status"] == "SUCCESS"
    assert world.user("GET", f"/v1/servers/{ordered['server_id']}")["status"] == "DELETED"
    assert (world.node()["state"], world.node()["clean"]) == ("available", True)
    assert machine.desired().request is None


def test_the_deploy_is_what_was_ordered(world: World, machine: Machine) -> None:
    """The request names the node, the image with its digest, and one disk by what only that disk has."""
    world.order()
    request = machine.desired().request

    assert isinstance(request, DeployRequest) and isinstance(request.root_device, RootDeviceHints)
    assert request.node_id == machine.node_id
    assert (request.image.url, request.image.sha256) == (f"{URL}/d", "ab" * 32)
    assert (request.root_device.serial, request.overwrite) == ("SN-sda", False)
    assert isinstance(request.config_drive, ConfigDrive)
    meta = json.loads(request.config_drive.files["openstack/latest/meta_data.json"].get_secret_value())
    assert (meta["name"], list(meta["public_keys"])) == ("web", ["me"])


def test_the_timeline_has_every_phase(world: World, machine: Machine) -> None:
    """Every phase is in the job, in order, each begun when the one before it ended."""
    ordered = world.order()
    machine.serve()

    job = world.job(ordered["job_id"])
    assert [phase["name"] for phase in job["phases"]] == [
        "waiting for the agent",
        "write_image",
        "place_config_drive",
        "seal_disk",
        "rebooting",
        "booting the installed OS",
    ]
    ends = [phase["ended_at"] for phase in job["phases"]]
    assert ends[:-1] == [phase["began_at"] for phase in job["phases"]][1:]
    assert job["entities"]["server_id"] == ordered["server_id"]


def test_progress_is_seen_while_it_is_written(world: World, machine: Machine) -> None:
    """What a heartbeat says of the step under way is in the job."""
    ordered = world.order()
    request = machine.desired().request
    assert request is not None
    machine.beat(progress=machine.progress(request, "write_image", 5, 10))

    progress = world.job(ordered["job_id"])["progress"]
    assert (progress["step"], progress["done_bytes"], progress["total_bytes"]) == ("write_image", 5, 10)


def test_the_installed_os_is_told_its_network(world: World, server: Machine) -> None:
    """The service gets its NIC's address and gateway, and what it really has is shown beside it."""
    network = server.desired().network

    assert network is not None
    (nic,), (default,) = network.links, network.routes or ()
    assert isinstance(nic, Ethernet)
    assert (nic.mac, [str(one) for one in nic.addresses or ()], nic.dhcp4) == (server.mac, ["10.1.0.2/24"], False)
    assert (str(default.destination), default.link, str(default.gateway)) == ("0.0.0.0/0", nic.name, "10.1.0.1")
    link = LinkState(
        name="eno1", index=2, kind="ethernet", mac=server.mac, carrier=True, up=True, mtu=1500, addresses=nic.addresses
    )
    server.beat(network=NetworkState(links=(link,)))
    (address,) = world.server()["addresses"]
    assert (address["address"], address["observed"]) == ("10.1.0.2", ["10.1.0.2/24"])


def test_a_clean_node_is_deployed_over_again(world: World, server: Machine) -> None:
    """After a delete, the next server gets the node, and may overwrite what its inventory still shows."""
    world.user("DELETE", "/v1/servers/web", status=202)
    server.serve().serve()
    world.order("next")
    request = server.desired().request

    assert isinstance(request, DeployRequest)
    assert request.overwrite
    server.serve()
    assert world.server("next")["status"] == "ACTIVE"
    assert not world.node()["clean"]


def test_generations_only_rise(world: World, machine: Machine) -> None:
    """Through a server's whole life no desired state has a lower generation, nor the same one with other content."""
    held = {0: ""}
    for step in (lambda: None, world.order, machine.serve, lambda: world.user("DELETE", "/v1/servers/web")):
        step()
        desired = machine.desired()
        assert held.setdefault(desired.generation, desired.model_dump_json()) == desired.model_dump_json()
    assert len(held) > 4
