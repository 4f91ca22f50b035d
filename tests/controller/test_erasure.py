# SPDX-License-Identifier: Apache-2.0
"""What a controller believes of an erasure: what its certificate shows, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.model.erasing import Means, Samples
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate, signed
from agent.model.fault import Fault
from agent.model.job import JobState, Result
from agent.model.request import EraseRequest
from tests.controller.machine import Machine, a_key
from tests.controller.world import World


def cleaning(world: World, machine: Machine) -> EraseRequest:
    """An operator wants the node clean."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    return request


def erased(world: World, machine: Machine, *dead: str, **changes: Any) -> Any:
    """The node says that it is, and its certificate what of; the node afterwards."""
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=machine.certificate(request, *dead, **changes))
    return world.node()


def view(world: World) -> Any:
    """What the operator sees."""
    return world.user("GET", f"/v1/nodes/{world.node()['id']}/erasures")


def test_the_best_method_is_asked_for(world: World, machine: Machine) -> None:
    """Each drive does what it can itself; a dead disk, and what a tenant changed beside disks, are seen to as well."""
    request = cleaning(world, machine)

    assert (request.method, request.quarantine, request.platform) == ("secure", True, True)
    assert request.show_hidden


def test_by_policy_nothing_hidden_is_shown(made: Callable[..., World]) -> None:
    """With --no-show-hidden a drive's protected area stays as it is."""
    world = made(show_hidden=False)

    assert not cleaning(world, Machine(world).power_on()).show_hidden


def test_a_proven_erasure_is_kept(world: World, machine: Machine) -> None:
    """The node is clean, and the certificate is there, as it was signed, with who handed it in."""
    assert erased(world, machine)["clean"] is True
    (one,) = view(world)["erasures"]
    says = SignedCertificate.model_validate(one["signed"]).opened()

    assert [disk.serial for disk in says.disks] == ["SN-sda", "SN-sdb"] and one["says"]["node_id"] == machine.node_id
    assert machine.session is not None and one["attested_by"] == f"session {machine.session.session_id}"
    assert view(world)["quarantined"] == []


def unsigned(result: Result) -> Result:
    """With a word changed after it was signed."""
    signed = SignedCertificate.model_validate_json(str(result[IN_RESULT]))
    text = signed.certificate.replace("all zero", "all good")
    return {IN_RESULT: signed.model_copy(update={"certificate": text}).model_dump_json()}


def wiped(result: Result) -> Result:
    """As if the disks had only lost what says what they hold."""
    says = SignedCertificate.model_validate_json(str(result[IN_RESULT])).opened()
    disks = tuple(one.model_copy(update={"means": Means.METADATA, "nist": "none"}) for one in says.disks)
    told = signed(says.model_copy(update={"disks": disks}), Ed25519PrivateKey.generate())
    return {IN_RESULT: told.model_dump_json()}


def changed(result: Result, **facts: Any) -> Result:
    """With other facts of its first disk."""
    says = SignedCertificate.model_validate_json(str(result[IN_RESULT])).opened()
    disks = (says.disks[0].model_copy(update=facts), *says.disks[1:])
    told = signed(says.model_copy(update={"disks": disks}), Ed25519PrivateKey.generate())
    return {IN_RESULT: told.model_dump_json()}


ALIVE = Samples(canaries=65, read=65, zero=64, survived=1)
CASES: dict[str, tuple[Callable[[Machine, EraseRequest], Result], str]] = {
    "none": (lambda machine, request: {}, "no certificate"),
    "no certificate at all": (lambda machine, request: {IN_RESULT: "yes, erased"}, "no certificate"),
    "changed": (lambda machine, request: unsigned(machine.certificate(request)), "no certificate"),
    "another node's": (lambda machine, request: machine.certificate(request, node_id="n2"), "no certificate"),
    "another request's": (lambda machine, request: machine.certificate(request, request_id="old"), "no certificate"),
    "a wipe": (lambda machine, request: wiped(machine.certificate(request)), "SN-sda: erased by metadata"),
    "a canary lives": (lambda machine, request: changed(machine.certificate(request), samples=ALIVE), "SN-sda: erased"),
    "no samples": (lambda machine, request: changed(machine.certificate(request), samples=Samples()), "SN-sda: erased"),
    "a hint": (lambda machine, request: changed(machine.certificate(request), means=Means.DISCARD), "SN-sda: erased"),
    "no disk at all": (lambda machine, request: machine.certificate(request, disks=()), "no disk was erased"),
    "a disk failed": (lambda machine, request: machine.certificate(request, "sda", quarantined=()), "SN-sda: failed"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_success_without_proof_is_none(world: World, machine: Machine, case: str) -> None:
    """The node is in error, not clean, and nobody gets it."""
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=CASES[case][0](machine, request))
    node = world.node()

    assert (node["state"], node["clean"]) == ("error", False)
    assert node["fault"]["code"] == "BMS.ERASE_UNPROVEN" and CASES[case][1] in node["fault"]["message"]


def test_a_certificate_by_a_stranger(world: World) -> None:
    """A node that signs its calls signs its certificates by the same key: another's proves nothing."""
    machine = Machine(world, key=a_key()).power_on()
    assert erased(world, machine)["clean"] is True
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=without(machine.certificate(request), "SN-none"))

    assert (world.node()["state"], world.node()["fault"]["code"]) == ("error", "BMS.ERASE_UNPROVEN")


def test_the_certificate_of_a_failure_is_kept(world: World, machine: Machine) -> None:
    """What was erased, and what was not, can be looked up afterwards."""
    request = cleaning(world, machine)
    fault = Fault(code="DISK.ERASE_UNPROVEN", message="erasing the disks: SN-sdb failed")
    machine.report(request, JobState.FAILED, fault=fault, result=machine.certificate(request, "sdb", quarantined=()))

    assert [disk["outcome"] for disk in view(world)["erasures"][0]["says"]["disks"]] == ["erased", "failed"]
    assert world.node()["state"] == "error"


def test_a_disk_of_a_failed_erasure_is_not_forgotten(world: World, machine: Machine) -> None:
    """One that was not proven, and is away when the node is cleaned again, is in quarantine when it comes back."""
    request = cleaning(world, machine)
    fault = Fault(code="DISK.ERASE_UNPROVEN", message="erasing the disks: SN-sdb failed")
    machine.report(request, JobState.FAILED, fault=fault, result=machine.certificate(request, "sdb", quarantined=()))
    assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sdb"]
    assert erased(world, machine)["clean"] is True

    assert view(world)["quarantined"] == []


ORDER = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "key_name": "me"}


def test_a_dead_disk_does_not_condemn_its_machine(world: World, machine: Machine) -> None:
    """The node is in order, and gets no server while the disk is in it and nobody accepted that."""
    assert erased(world, machine, "sdb")["state"] == "available"
    (entry,) = view(world)["quarantined"]
    status, _, why = world.refused("POST", "/v1/servers", ORDER)

    assert (entry["disk"], entry["accepted_by"]) == ("SN-sdb", None)
    assert status == 409 and "quarantine: disk SN-sdb may hold a former tenant's data" in why


def without(result: Result, serial: str) -> Result:
    """As if that disk had not been there."""
    says = SignedCertificate.model_validate_json(str(result[IN_RESULT])).opened()
    left = tuple(one for one in says.disks if one.serial != serial)
    told = signed(says.model_copy(update={"disks": left}), Ed25519PrivateKey.generate())
    return {IN_RESULT: told.model_dump_json()}


def test_a_disk_that_vanished_is_not_forgotten(world: World, machine: Machine) -> None:
    """One that was there when the machine came up, and is in no certificate, may come back with its data."""
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=without(machine.certificate(request), "SN-sdb"))

    assert (world.node()["state"], view(world)["quarantined"][0]["disk"]) == ("available", "SN-sdb")
    assert "it vanished before it was erased" in world.refused("POST", "/v1/servers", ORDER)[2]


def test_a_part_of_a_disk_is_not_the_disk(world: World, machine: Machine) -> None:
    """One that was smaller when it was erased than when it was listed holds what was beyond."""
    request = cleaning(world, machine)
    machine.report(request, JobState.SUCCEEDED, result=changed(machine.certificate(request), size_bytes=10**9))

    assert [entry["disk"] for entry in view(world)["quarantined"]] == ["SN-sda"]


def test_by_policy_it_does(made: Callable[..., World]) -> None:
    """With --no-quarantine one dead disk keeps its node in error."""
    world = made(quarantine=False)
    node = erased(world, Machine(world).power_on(), "sdb")

    assert (node["state"], node["clean"]) == ("error", False) and "SN-sdb: failed" in node["fault"]["message"]


def test_an_accepted_disk_is_nobodys_root_disk(world: World, machine: Machine) -> None:
    """An operator lets the node be used: its servers never get that disk. Taken back, it is as before."""
    erased(world, machine, "sda")
    body = {"disk": "SN-sda", "accepted": True}
    world.user("POST", f"/v1/nodes/{machine.node_id}/quarantine", body, status=200)
    world.user("POST", f"/v1/nodes/{machine.node_id}/quarantine", body | {"accepted": False}, status=200)
    assert "quarantine" in world.refused("POST", "/v1/servers", ORDER)[2]
    told = world.user("POST", f"/v1/nodes/{machine.node_id}/quarantine", body, status=200)
    world.order()
    machine.serve()

    assert told["quarantined"][0]["accepted_by"] == "admin-token"
    assert machine.root == "SN-sdb" and world.server()["status"] == "ACTIVE"
    missing = world.refused("POST", f"/v1/nodes/{machine.node_id}/quarantine", body | {"disk": "SN-sdb"})
    assert missing[0] == 404


def test_a_disk_that_is_erased_is_free_again(world: World, machine: Machine) -> None:
    """A later erasure that is proven ends its quarantine."""
    erased(world, machine, "sdb")
    erased(world, machine)

    assert view(world)["quarantined"] == [] and len(view(world)["erasures"]) == 2


def test_firmware_that_changed_is_told(world: World, machine: Machine) -> None:
    """Versions are compared with those at the erasure before, newest first."""
    erased(world, machine, firmware={"system": "1.0", "disk SN-sda": "A"})
    world.clock.move(60)
    erased(world, machine, firmware={"system": "1.1", "disk SN-sda": "A", "disk SN-sdb": "B"})

    newest, oldest = view(world)["erasures"]
    assert newest["firmware_changed"] == ["system: 1.0 before, 1.1 now"] and oldest["firmware_changed"] == []
