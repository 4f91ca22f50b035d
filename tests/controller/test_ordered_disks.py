# SPDX-License-Identifier: Apache-2.0
"""Orders that destroy: which disks they name, that they are the same for ever, and that none is carried out twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from agent.controller.backup.archive import write_backup
from agent.controller.backup.restore import restore
from agent.controller.records.job import AssignmentState
from agent.model.disk import RootDeviceHints
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.request import DeployRequest, EraseRequest, RebootRequest
from tests.controller.machine import Machine, disk
from tests.controller.test_erasure import cleaning, erased, view, without
from tests.controller.world import World

NEW = disk("sdc", 80)


def again(machine: Machine) -> EraseRequest:
    """What it is asked now."""
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    return request


def test_an_order_names_the_disks_that_are_there(world: World, machine: Machine) -> None:
    """By WWN, serial and size; what is plugged in from outside is not the machine's. The same after a restart."""
    machine.disks = (*machine.disks, disk("sdu", 8, transport="usb"))
    machine.power_on()
    request = cleaning(world, machine)
    assert request.disks is not None
    assert [(one.wwn, one.serial, one.size_bytes) for one in request.disks] == [
        (one.wwn, one.serial, one.size_bytes) for one in machine.disks[:2]
    ]
    world.restart()

    assert machine.desired().request == request


def test_a_disk_that_came_since_is_not_in_it(world: World, machine: Machine) -> None:
    """Neither when the agent starts again, nor when the machine comes up only then; a new order names it."""
    request = cleaning(world, machine)
    machine.disks = (*machine.disks, NEW)
    machine.enrol()
    assert again(machine) == request
    fault = Fault(code="DISK.CHANGED", message="not in the order: sdc")
    machine.report(request, JobState.FAILED, fault=fault)
    assert (world.node()["state"], world.node()["fault"]["code"]) == ("error", "DISK.CHANGED")

    assert NEW.identity in (cleaning(world, machine).disks or ())


def test_a_boot_that_takes_over_lists_anew(world: World, machine: Machine) -> None:
    """An order that a dead boot took is given under another id, with what is there now."""
    first = cleaning(world, machine)
    machine.disks = (*machine.disks, NEW)
    second = again(machine.power_on())

    assert first.request_id != second.request_id and NEW.identity in (second.disks or ())


def test_a_disk_that_vanished_while_the_agent_started_again(world: World, machine: Machine) -> None:
    """The machine lists anew what is left, in the same boot: the order still knows what there was."""
    request = cleaning(world, machine)
    machine.disks = machine.disks[:1]
    machine.enrol()
    machine.report(again(machine), JobState.SUCCEEDED, result=machine.certificate(request))

    assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sdb"]


def test_a_deploy_names_the_size_too(world: World, machine: Machine) -> None:
    """Another disk at the same identity is not written to. An order of an earlier release stays as it was given."""
    world.order()
    request = machine.desired().request
    assert isinstance(request, DeployRequest) and isinstance(request.root_device, RootDeviceHints)
    assert (request.root_device.serial, request.root_device.size_gb) == ("SN-sda", "== 40")
    with world.controller.write() as tx:
        [assignment] = tx.assignments.all(request_id=request.request_id)
        tx.assignments.change(assignment, disks=None, given=None)
    older = machine.desired().request

    assert isinstance(older, DeployRequest) and isinstance(older.root_device, RootDeviceHints)
    assert older.root_device.size_gb is None


def test_a_report_that_comes_again_does_nothing(world: World, machine: Machine) -> None:
    """Neither a success nor a failure, by another outbox, after the node has got its next tenant."""
    request = cleaning(world, machine)
    result = machine.certificate(request)
    machine.report(request, JobState.SUCCEEDED, result=result)
    world.order()
    machine.stream_id, machine.reported = str(uuid4()), 0
    machine.report(request, JobState.SUCCEEDED, result=result)
    machine.report(request, JobState.FAILED, result=machine.certificate(request, "sda"))

    assert (world.node()["state"], world.server()["status"]) == ("deploying", "BUILD")
    assert view(world)["quarantined"] == [] and len(view(world)["erasures"]) == 1


def test_an_old_order_to_erase_is_not_served_again(world: World, machine: Machine, tmp_path: Path) -> None:
    """A controller that was restored from a backup of then does not erase what the next tenant has by now."""
    request = cleaning(world, machine)
    write_backup(world.options, tmp_path / "backup", datetime(2026, 5, 2, tzinfo=UTC), with_images=True)
    machine.erase(request)
    world.order()
    machine.serve()
    restore(tmp_path / "backup", tmp_path / "restored")
    other = World(tmp_path / "restored")
    machine.world = other
    machine.power_on()

    assert machine.mode == "ramdisk" and machine.desired().request is None
    other.look(10_000)
    assert machine.desired().request is None and other.power.told == []
    with other.controller.read() as tx:
        assert [one.state for one in tx.assignments.all(verb="disk.erase")] == [AssignmentState.ABANDONED]
    other.close()


def test_a_tenant_certifies_nothing(world: World, machine: Machine) -> None:
    """The OS, asked to reboot, is no witness of an erasure: no disk is set apart or freed, no firmware compared."""
    erased(world, machine, "sdb")
    body = {"disk": "SN-sdb", "accepted": True}
    world.user("POST", f"/v1/nodes/{machine.node_id}/quarantine", body, status=200)
    world.order()
    machine.serve()
    world.user("DELETE", "/v1/servers/web", status=202)
    request = machine.desired().request
    assert isinstance(request, RebootRequest) and machine.mode == "service"
    kept = view(world)
    told = machine.certificate(EraseRequest(request_id=request.request_id, node_id=request.node_id), "sda")
    machine.report(request, JobState.FAILED, result=told)

    assert view(world) == kept and [entry["disk"] for entry in kept["quarantined"]] == ["SN-sdb"]


def test_what_is_doubted_is_set_apart(made: Callable[..., World]) -> None:
    """A disk that is out at the next erasure does not come back with its data."""
    world = made(quarantine=False)
    machine = Machine(world).power_on()
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=without(machine.certificate(request), "SN-sdb"))

    assert world.node()["state"] == "error"
    assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sdb"]


def test_nobodys_word_frees_no_disk(made: Callable[..., World]) -> None:
    """Where boots have to be attested, one that is not can set a disk apart and not free it."""
    world = made(require_attested=True)
    machine = Machine(world).power_on()
    for dead in (("sdb",), ()):
        request = cleaning(world, machine)
        machine.report(request, JobState.FAILED, result=machine.certificate(request, *dead))
        assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sdb"]
    assert erased(world, machine)["state"] == "error"

    assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sdb"]


def test_what_was_accepted_elsewhere_is_kept_once(world: World, machine: Machine) -> None:
    """A disk of another node that was accepted, and vanished in an erasure, is in quarantine once; no server was there,
    so the word holds."""
    erased(world, machine, "sdb")
    moved = machine.disks[1]
    machine.disks = machine.disks[:1]
    machine.power_on()
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"maintenance": True})
    other = Machine(world, 2, disks=(disk("sdx", 40), moved)).power_on()
    path = f"/v1/nodes/{other.node_id}"
    world.user("POST", f"{path}/quarantine", {"disk": "SN-sdb", "accepted": True}, status=200)
    world.user("POST", f"{path}/clean", status=202)
    request = again(other)
    other.report(request, JobState.SUCCEEDED, result=without(other.certificate(request), "SN-sdb"))
    [entry] = world.user("GET", f"{path}/erasures")["quarantined"]

    assert (entry["disk"], entry["node_id"], entry["accepted_by"]) == ("SN-sdb", other.node_id, "admin-token")


def test_the_end_of_a_server_erases_what_its_ramdisk_lists(world: World, server: Machine) -> None:
    """Not what there was when it was ordered, nor what its OS says of the machine: a disk that came meanwhile is in the
    order, one that went is not, and one that the OS has made up is not."""
    was, made_up = server.disks, disk("sdz", 4000)
    server.disks = (was[0], NEW)
    said = server.inventory.model_copy(update={"disks": (*server.disks, made_up)})
    assert server.send("/v1/agent/inventory", said).status_code == 200
    world.user("DELETE", "/v1/servers/web", status=202)
    assert not isinstance(server.desired().request, EraseRequest)
    world.clock.move(80)
    server.power_on()

    assert server.mode == "ramdisk" and again(server).disks == (was[0].identity, NEW.identity)
