# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node erasure` and `quarantine`: what an operator reads, and types."""

from __future__ import annotations

from agent.model.erasing.certificate import SignedCertificate
from agent.model.job import JobState
from agent.model.request import EraseRequest
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.world import World


def test_erasures_are_shown(world: World, bmsctl: Keyboard) -> None:
    """Each disk with its proof, a disk in quarantine first; as JSON the signed certificate is in it."""
    machine = Machine(world).power_on()
    assert "never erased" in bmsctl("node", "erasure", machine.node_id).output
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    machine.report(request, JobState.SUCCEEDED, result=machine.certificate(request, "sdb"))
    shown = bmsctl("node", "erasure", machine.node_id).output
    (one,) = bmsctl("node", "erasure", machine.node_id, "--json").json["erasures"]

    assert "SN-sdb: failed: Input/output error" in shown and "gets no server" in shown
    name = world.user("GET", f"/v1/nodes/{machine.node_id}")["name"]
    assert f"says node {name}" in " ".join(shown.split())
    assert "SN-sda" in shown and "zero" in shown
    assert SignedCertificate.model_validate(one["signed"]).opened().request_id == request.request_id


def test_a_disk_is_accepted(world: World, bmsctl: Keyboard) -> None:
    """By its serial; what is not in quarantine cannot be."""
    machine = Machine(world).power_on()
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    machine.report(request, JobState.SUCCEEDED, result=machine.certificate(request, "sdb"))

    assert "is accepted" in bmsctl("node", "quarantine", machine.node_id, "SN-sdb", "--accept").output
    assert "accepted by admin-token" in bmsctl("node", "erasure", machine.node_id).output
    assert "is not accepted" in bmsctl("node", "quarantine", machine.node_id, "SN-sdb", "--refuse").output
    assert bmsctl("node", "quarantine", machine.node_id, "SN-sda", "--accept").status != 0
