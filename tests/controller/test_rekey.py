# SPDX-License-Identifier: Apache-2.0
"""One key a service: bound once, whoever comes at the same time, and bound anew by an operator if it was lost. What is
another node's is not spoken by."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from agent.controller.flow.prove import prove as take_proof
from agent.controller.keys import digest
from agent.controller.records.node import Credential
from agent.controller.refusal import AgentUnauthorized
from agent.model import signature
from agent.model.protocol import ReportBatch
from tests.controller.machine import Machine, a_key
from tests.controller.test_identity import DESIRED, asked, refusal
from tests.controller.world import World


@pytest.fixture
def served(world: World) -> Machine:
    """A machine whose server, web, is ACTIVE, and whose service has a key."""
    machine = Machine(world, key=a_key()).power_on()
    world.order()
    return machine.serve()


def test_a_lost_key_is_told_and_bound_by_an_operator(world: World, served: Machine) -> None:
    """The right credential with another key is refused, and the operator reads by which key it came; said, it is the
    node's from then on, and the lost one is nobody's."""
    lost, served.key = served.key, a_key()
    approve = f"/v1/nodes/{served.node_id}/approve"
    assert lost is not None and served.key is not None
    assert refusal(served.send("/v1/agent/boot", served.proof())) == (401, "AGENT.UNAUTHORIZED")

    assert world.node()["fault"]["code"] == "AGENT.OTHER_KEY"
    assert served.key.fingerprint in world.node()["fault"]["message"]
    assert world.node()["fingerprint"] == lost.fingerprint
    assert world.refused("POST", approve, {"fingerprint": a_key().fingerprint})[1] == "BMS.STATE"
    world.user("POST", approve, {"fingerprint": served.key.fingerprint})
    assert (world.node()["fault"], world.node()["fingerprint"]) == (None, served.key.fingerprint)
    assert served.prove().beat().current
    served.key = lost
    assert refusal(asked(served)) == (401, "AGENT.UNAUTHORIZED")


def test_only_who_signs_with_it_is_told_of(world: World, served: Machine) -> None:
    """A key without its signature, a call without one, and a wrong credential leave the node as it is; so does a
    ramdisk's, which enrols anew."""
    key, served.key = served.key, None
    asked(served)
    served.key = a_key()
    asked(served, **{signature.KEY: a_key().public})
    credential, served.credential = served.credential, "wrong"
    asked(served)
    assert world.node()["fault"] is None

    served.key, served.credential = key, credential
    world.user("POST", "/v1/servers/web/reinstall")
    served.serve()
    assert served.mode == "ramdisk"
    served.key = a_key()
    assert refusal(asked(served)) == (401, "AGENT.UNAUTHORIZED")
    assert world.node()["fault"] is None


def kept_credential(machine: Machine) -> Credential:
    """Its service's, as it is when a call is judged."""
    with machine.world.controller.read() as tx:
        found = tx.credentials.get(digest(machine.credential))
    assert found is not None and machine.key is not None
    return found.model_copy(update={"signed_by": machine.key.public, "session_id": None})


def test_two_first_proofs_at_once_bind_one_key(server: Machine) -> None:
    """Both were judged before either was bound: the second is refused, and changes nothing."""
    server.key, controller = a_key(), server.world.controller
    first = kept_credential(server)
    second = first.model_copy(update={"signed_by": a_key().public})
    take_proof(controller, first, server.proof())

    with pytest.raises(AgentUnauthorized, match="another key's"):
        take_proof(controller, second, server.proof())
    with pytest.raises(AgentUnauthorized, match="another key's"):
        take_proof(controller, first.model_copy(update={"signed_by": None}), server.proof())
    assert kept_credential(server).public_key == server.key.public
    assert server.world.node()["fingerprint"] == server.key.fingerprint


def test_a_node_that_is_revoked_meanwhile_binds_nothing(world: World, server: Machine) -> None:
    """Its call was judged before."""
    server.key = a_key()
    judged = kept_credential(server)
    world.user("POST", f"/v1/nodes/{server.node_id}/revoke")

    with pytest.raises(AgentUnauthorized, match="not good any more"):
        take_proof(world.controller, judged, server.proof())
    assert kept_credential(server).public_key is None


def test_a_call_of_before_a_restart_is_not_taken_again(world: World, served: Machine) -> None:
    """What was called is forgotten with the process: whoever plays it again is told the time, as an agent is whose
    clock is behind, and which corrects itself by that."""
    headers = served.authorization | served.signature("GET", DESIRED)
    assert world.http.get(DESIRED, headers=headers).status_code == 200
    world.clock.move(5)
    world.restart()

    assert refusal(world.http.get(DESIRED, headers=headers)) == (401, "AGENT.CLOCK")
    assert asked(served).status_code == 200


def test_nobody_becomes_a_node_that_is_up(made: Callable[..., World]) -> None:
    """By hand, a boot that says to be an approved node's while its ramdisk is heard of is refused, and the operator is
    told; once that is silent, as after a restart, it is taken in."""
    world = made(enrolment="manual")
    machine = Machine(world, key=a_key()).power_on()
    assert machine.key is not None
    world.user("POST", f"/v1/nodes/{machine.node_id}/approve", {"fingerprint": machine.key.fingerprint})
    machine.beat()
    stranger = Machine(world, key=a_key(), boot_id="another")
    stranger.token = stranger.script().partition("bms.token=")[2].split()[0]
    for passed_s in (0, 10, 60):
        world.clock.move(passed_s)
        assert refusal(stranger.send("/v1/agent/enroll", stranger.enrolment())) == (409, "ENROLL.TWO_MACHINES")
    assert world.node()["fault"]["code"] == "ENROLL.TWO_MACHINES"
    assert world.node()["fingerprint"] == machine.key.fingerprint
    assert machine.enrol().beat().current

    world.clock.move(76)
    assert stranger.enrol().beat().current
    assert world.node()["fault"] is None


def test_a_machine_that_was_reset_is_not_waited_for(made: Callable[..., World]) -> None:
    """Its BMC did it after its last heartbeat; nor is one waited for long that was at work, and heard of every 2 s."""
    world = made(enrolment="manual")
    machine = Machine(world, key=a_key()).power_on()
    assert machine.key is not None
    world.user("POST", f"/v1/nodes/{machine.node_id}/approve", {"fingerprint": machine.key.fingerprint})
    job = world.user("POST", f"/v1/nodes/{machine.node_id}/clean")["job_id"]
    request = machine.desired().request
    assert request is not None
    machine.beat(progress=machine.progress(request, "erase_disks", 1, 2))
    world.clock.move(11)
    machine.power_on()
    machine.beat()
    world.clock.move(1)
    with world.controller.write() as tx:
        kept = tx.jobs.get(job)
        assert kept is not None
        tx.jobs.change(kept, power_at=world.clock.now())
    assert machine.power_on().beat().current


def test_another_node_s_outbox_and_session_are_not_taken(world: World) -> None:
    """Neither is one's own to speak by, whoever has read their ids."""
    mine, theirs = (Machine(world, number, key=a_key()).power_on() for number in (1, 2))
    theirs.send_reports()
    batch = ReportBatch(stream_id=theirs.stream_id, reports=())
    assert refusal(mine.send("/v1/agent/reports", batch)) == (401, "AGENT.UNAUTHORIZED")

    message = mine.enrolment().model_copy(update={"session": theirs.session})
    mine.boot_id = theirs.boot_id
    mine.token = mine.script().partition("bms.token=")[2].split()[0]
    message = message.model_copy(update={"token": SecretStr(mine.token)})
    assert refusal(mine.send("/v1/agent/enroll", message)) == (401, "AGENT.UNAUTHORIZED")
    assert theirs.beat().current


def test_a_key_that_comes_back_needs_nobody(world: World, served: Machine) -> None:
    """A TPM that failed for a while: the spare key is told of, until the node's own is heard again; it binds nothing
    from then on."""
    own, served.key = served.key, a_key()
    assert served.key is not None
    spare = served.key.fingerprint
    assert refusal(served.send("/v1/agent/boot", served.proof())) == (401, "AGENT.UNAUTHORIZED")
    assert world.node()["fault"]["code"] == "AGENT.OTHER_KEY"
    served.key = own
    assert served.prove().beat().current

    assert world.node()["fault"] is None
    assert world.refused("POST", f"/v1/nodes/{served.node_id}/approve", {"fingerprint": spare})[1] == "BMS.STATE"
