# SPDX-License-Identifier: Apache-2.0
"""Machines that nobody has approved: they fill neither the database nor the disk, and are forgotten when told so."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import timedelta

import pytest

from agent.controller.flow.strangers import MOST_WAITING
from agent.controller.flow.tick import sweep
from agent.controller.records.node import Node, NodeState
from agent.model.request import DeployRequest
from tests.controller.machine import Machine, a_key
from tests.controller.world import URL, World

PACKED = gzip.compress(b"logs")


@pytest.fixture
def manual(made: Callable[..., World]) -> World:
    """A controller whose operator approves."""
    return made(enrolment="manual")


def stranger(world: World, number: int = 1) -> Machine:
    """A machine that waits for approval."""
    return Machine(world, number, key=a_key()).power_on()


def counts(world: World) -> dict[str, int]:
    """How many of what there is to a node."""
    with world.controller.read() as tx:
        shelves = (tx.nodes, tx.macs, tx.inventories, tx.sessions, tx.tokens, tx.credentials, tx.streams)
        return {shelf._table.name: shelf.count() for shelf in shelves}


def test_a_stranger_leaves_no_bundle(manual: World) -> None:
    """Not before it is approved."""
    machine = stranger(manual)
    headers = machine.authorization

    def sent() -> int:
        return manual.http.post("/v1/agent/bundles", content=PACKED, headers=headers).status_code

    with manual.controller.write() as tx:  # as one of an earlier release: its calls need no signature
        [credential] = tx.credentials.all(node_id=machine.node_id)
        tx.credentials.change(credential, public_key=None)
    assert sent() == 409
    assert not manual.controller.bundles.exists()
    assert machine.key is not None
    approve = f"/v1/nodes/{machine.node_id}/approve"
    manual.user("POST", approve, {"fingerprint": machine.key.fingerprint}, status=200)
    assert sent() == 200


def crowd(world: World) -> list[str]:
    """So many that wait, and room for one more; their ids."""
    now = world.clock.now()
    names = [f"waiting-{number}" for number in range(MOST_WAITING - 1)]
    with world.controller.write() as tx:
        for name in names:
            tx.nodes.add(
                Node(
                    id=name,
                    name=name,
                    identity=name,
                    boot_mac="52:54:00:00:09:09",
                    state=NodeState.ENROLL,
                    controller_url=URL,
                    created_at=now,
                    updated_at=now,
                )
            )
    return names


def test_so_many_wait_and_no_more(manual: World) -> None:
    """Those that wait already may boot again; once one is let in or forgotten there is room."""
    waiting = crowd(manual)
    last = stranger(manual)
    late = Machine(manual, 3, boot_id="b", key=a_key())
    late.token = late.script().partition("bms.token=")[2].split()[0]

    answer = late.send("/v1/agent/enroll", late.enrolment())
    assert (answer.status_code, answer.json()["fault"]["code"]) == (409, "ENROLL.REFUSED")
    assert counts(manual)["nodes"] == MOST_WAITING
    last.power_on()
    manual.user("DELETE", f"/v1/nodes/{waiting[0]}", status=204)
    assert late.enrol().beat().current


def test_an_operators_token_needs_no_room(manual: World) -> None:
    """Whoever has one does not wait."""
    crowd(manual)
    stranger(manual)
    token = manual.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]

    assert Machine(manual, 2, boot_id="b", token=token, key=a_key()).enrol().beat().current


def test_nothing_of_a_deleted_node_is_left(manual: World) -> None:
    """Neither a record nor a file; its credential is worth nothing, nor is the token of its boot. It may come again."""
    before = counts(manual)
    machine = stranger(manual)
    machine.script()
    folder = manual.controller.bundles / machine.node_id
    folder.mkdir(parents=True)
    manual.user("DELETE", f"/v1/nodes/{machine.node_id}", status=204)

    assert counts(manual) == before
    assert not folder.exists()
    assert manual.refused("GET", f"/v1/nodes/{machine.node_id}")[0] == 404
    assert machine.send("/v1/agent/heartbeat", machine.heartbeat(1)).status_code == 401
    assert machine.send("/v1/agent/enroll", machine.enrolment()).status_code == 403
    assert machine.power_on().beat().current


def test_a_node_that_was_tested_is_forgotten(manual: World) -> None:
    """While it waits for approval: what was found goes too. Not in the middle of a test, nor one let in."""
    machine = stranger(manual)
    path = f"/v1/nodes/{machine.node_id}"
    manual.user("POST", f"{path}/validations", {}, status=202)
    assert manual.refused("DELETE", path)[0] == 409
    manual.user("POST", f"{path}/validations/cancel")
    tested = stranger(manual, 2)
    manual.user(
        "POST", f"/v1/nodes/{tested.node_id}/approve", {"fingerprint": manual.node(tested.node_id)["fingerprint"]}
    )
    manual.user("POST", f"/v1/nodes/{tested.node_id}/validations", {}, status=202)
    manual.user("POST", f"/v1/nodes/{tested.node_id}/validations/cancel")
    assert manual.refused("DELETE", f"/v1/nodes/{tested.node_id}")[1] == "BMS.IN_USE"
    manual.user("DELETE", path, status=204)

    assert manual.refused("GET", path)[0] == 404
    with manual.controller.read() as tx:
        assert {job.node_id for job in tx.jobs.all()} == {tested.node_id}
        assert tx.validations.count() == tx.assignments.count() == 1
    assert machine.power_on().beat().current


def test_a_node_in_use_is_not_forgotten(world: World, server: Machine) -> None:
    """Nor is one that was: what is certified of its disks stays."""
    path = f"/v1/nodes/{server.node_id}"
    assert world.refused("DELETE", path)[1] == "BMS.IN_USE"
    world.user("DELETE", "/v1/servers/web")
    server.serve().serve()

    assert world.node()["state"] == "available"
    assert world.refused("DELETE", path)[1] == "BMS.IN_USE"


def test_a_script_without_end_fills_nothing(world: World) -> None:
    """One unused token a MAC, the last; it is forgotten as soon as it has expired."""
    machine = Machine(world, boot_id="b")
    scripts = [machine.script() for _ in range(5)]
    assert counts(world)["tokens"] == 1
    machine.token = scripts[-1].partition("bms.token=")[2].split()[0]
    machine.enrol()
    machine.script()
    assert counts(world)["tokens"] == 2

    world.clock.move(timedelta(hours=1).total_seconds())
    sweep(world.controller)
    assert counts(world)["tokens"] == 1


def test_a_strangers_sessions_are_forgotten_soon(manual: World) -> None:
    """It may open any number of them; those of an approved node are kept for a week."""
    machine, approved = stranger(manual), stranger(manual, 2)
    assert approved.key is not None
    approve = f"/v1/nodes/{approved.node_id}/approve"
    manual.user("POST", approve, {"fingerprint": approved.key.fingerprint}, status=200)
    for _ in range(3):
        machine.enrol()
        approved.enrol()
    assert counts(manual)["sessions"] == 8
    manual.clock.move(3600)
    sweep(manual.controller)

    assert counts(manual)["sessions"] == 1 + 4
    assert machine.beat().current


def test_a_revoked_node_ends_no_job(world: World, machine: Machine) -> None:
    """Neither by what its firmware asks nor by what its cloud-init says."""
    job = world.order()["job_id"]
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.deploy(request)
    world.user("POST", f"/v1/nodes/{machine.node_id}/revoke")
    phases = world.phases(job)

    assert "sanboot" in machine.script()
    assert world.phases(job) == phases
