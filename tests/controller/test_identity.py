# SPDX-License-Identifier: Apache-2.0
"""A node's own key: a credential is good with it alone, for its own node alone, once; until the node is revoked. And
copies of disks, which have the key, too."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from httpx2 import Response

from agent.controller.nonces import Nonces
from agent.model import signature
from agent.model.job import JobState
from agent.model.signature import fingerprint
from tests.controller.machine import Machine, a_key
from tests.controller.routes import OPEN, Route, routes
from tests.controller.world import World

DESIRED = "/v1/agent/desired?generation=0&wait_s=0"


def refusal(answer: Response) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.json()["fault"]["code"]


def asked(machine: Machine, **headers: str) -> Response:
    """For the desired state, with these headers changed after signing."""
    signed = machine.signature("GET", DESIRED)
    return machine.world.http.get(DESIRED, headers=machine.authorization | signed | headers)


@pytest.fixture
def node(world: World) -> Machine:
    """A machine in its ramdisk, with a key."""
    return Machine(world, key=a_key()).power_on()


@pytest.fixture
def served(world: World, node: Machine) -> Machine:
    """A machine whose server, web, is ACTIVE; its service has a key of its own."""
    world.order()
    request = node.desired().request
    assert request is not None
    node.report(request, JobState.RUNNING, "write_image")
    node.write(request)  # type: ignore[arg-type]
    node.report(request, JobState.SUCCEEDED)
    node.key = a_key()
    node.power_on()
    assert world.server()["status"] == "ACTIVE"
    return node


def test_a_signed_call_is_heard(node: Machine) -> None:
    """The agent's own."""
    assert asked(node).status_code == 200
    assert node.beat().current


def test_a_credential_alone_is_worth_nothing(node: Machine) -> None:
    """Whoever has read it on the wire, but not the key, is not heard."""
    key, node.key = node.key, None
    assert refusal(asked(node)) == (401, "AGENT.UNAUTHORIZED")

    node.key = a_key()
    assert refusal(asked(node)) == (401, "AGENT.UNAUTHORIZED")
    node.key = key
    assert asked(node).status_code == 200


def test_every_header_is_signed(node: Machine) -> None:
    """One that is changed, or taken from another call, spoils the signature."""
    others = {
        signature.KEY: a_key().public,
        signature.TIME: "1777636801",
        signature.NONCE: "0" * 32,
        signature.SESSION: "another",
        signature.DIGEST: hashlib.sha256(b"x").hexdigest(),
        signature.SIGNATURE: "A" * 86 + "==",
    }
    assert others.keys() == {*signature.HEADERS, signature.SIGNATURE}
    for header, value in others.items():
        assert refusal(asked(node, **{header: value})) == (401, "AGENT.UNAUTHORIZED"), header


def test_nonsense_is_refused(node: Machine) -> None:
    """In any header, and is no fault of ours."""
    for header in (*signature.HEADERS, signature.SIGNATURE):
        for value in ("", "x", "\xe9", "9" * 13, "-1", "A" * 10_000):
            signed = node.authorization | node.signature("GET", DESIRED) | {header: value}
            raw = [(name.encode(), text.encode("latin-1")) for name, text in signed.items()]
            assert refusal(node.world.http.get(DESIRED, headers=raw))[0] == 401, (header, value)


def test_a_body_is_signed(node: Machine) -> None:
    """Another one under the same signature is refused."""
    message = node.heartbeat(5).model_dump_json().encode()
    headers = node.authorization | node.signature("POST", "/v1/agent/heartbeat", message)
    headers |= {"Content-Type": "application/json"}
    changed = message.replace(b'"sequence":5', b'"sequence":6')

    assert changed != message
    assert refusal(node.world.http.post("/v1/agent/heartbeat", content=changed, headers=headers))[0] == 401
    assert node.world.http.post("/v1/agent/heartbeat", content=message, headers=headers).status_code == 200


def test_a_signature_is_of_one_path_and_method(node: Machine) -> None:
    """With its query."""
    signed = node.signature("GET", DESIRED)
    for path in ("/v1/agent/desired?generation=0&wait_s=0&x=1", "/v1/agent/desired"):
        assert node.world.http.get(path, headers=node.authorization | signed).status_code == 401


def test_a_call_is_taken_once(node: Machine) -> None:
    """Whoever plays it again, word for word, is not answered."""
    headers = node.authorization | node.signature("GET", DESIRED)

    assert node.world.http.get(DESIRED, headers=headers).status_code == 200
    assert refusal(node.world.http.get(DESIRED, headers=headers)) == (401, "AGENT.UNAUTHORIZED")


@pytest.mark.parametrize("off_s", [-400, 400, -(10**9)])
def test_a_clock_that_is_off_is_named(node: Machine, off_s: int) -> None:
    """With a code of its own, by which an agent knows to correct itself; only a good signature is told that."""
    at = str(int(node.world.clock.now().timestamp()) + off_s)
    signed = node.signature("GET", DESIRED, b"", {signature.TIME: at})
    answer = node.world.http.get(DESIRED, headers=node.authorization | signed)

    assert refusal(answer) == (401, "AGENT.CLOCK")
    assert f"{off_s:+} s" in answer.json()["fault"]["message"]


def test_nonces_are_bounded_and_forgotten_in_time() -> None:
    """Each once while it counts; however many there are, memory does not grow."""
    nonces = Nonces(most=10)

    assert nonces.is_new("a", 0.0, 60.0)
    assert not nonces.is_new("a", 59.0, 60.0)
    assert nonces.is_new("a", 61.0, 60.0)
    assert all(nonces.is_new(str(number), 62.0, 60.0) for number in range(100))
    assert len(nonces) == 10


def test_a_fingerprint_is_short_and_says_which_key() -> None:
    """Three groups of four letters; another key has another."""
    shown = {fingerprint(a_key().public) for _ in range(50)}

    assert len(shown) == 50
    assert all(re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){2}", one) for one in shown)


def test_a_token_is_good_with_one_key(world: World) -> None:
    """Whoever has read it, and says to be the same machine in the same boot, has another key."""
    machine = Machine(world, key=a_key()).power_on()
    thief = Machine(world, boot_id=machine.boot_id, token=machine.token, key=a_key())

    assert refusal(thief.send("/v1/agent/enroll", thief.enrolment())) == (403, "ENROLL.TOKEN_REFUSED")
    assert refusal(
        Machine(world, boot_id=machine.boot_id, token=machine.token).send("/v1/agent/enroll", thief.enrolment())
    ) == (403, "ENROLL.TOKEN_REFUSED")
    machine.enrol()
    assert machine.beat().current


def test_a_service_binds_its_credential_by_its_first_proof(served: Machine) -> None:
    """What is on the config drive is worth nothing to whoever reads it later."""
    assert served.beat().current
    served.key = None
    assert refusal(served.send("/v1/agent/boot", served.proof())) == (401, "AGENT.UNAUTHORIZED")


def test_an_agent_without_a_key_goes_on(world: World, server: Machine) -> None:
    """One of an earlier release, in an OS that was deployed then; once it has a key, there is no way back."""
    assert server.beat().current
    server.key = a_key()
    server.power_on()
    assert server.beat().current
    key, server.key = server.key, None
    assert refusal(asked(server)) == (401, "AGENT.UNAUTHORIZED")
    server.key = key
    assert asked(server).status_code == 200


def test_only_the_newest_run_is_told_anything(served: Machine) -> None:
    """A copy of credential and key that never opened a session gets no desired state, and no report of it counts."""
    session = served.session
    assert session is not None
    stranger = session.model_copy(update={"session_id": "another"})
    served.session = stranger

    assert refusal(asked(served)) == (409, "BMS.STATE")
    assert not served.beat().current
    served.session = session
    assert asked(served).status_code == 200


class Two:
    """Two nodes with a server each, blue's and red's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mine = self._server("mine", 1)
        self.theirs = self._server("theirs", 2)
        world.user("POST", "/v1/servers/theirs/reinstall")
        world.clock.move(80)  # its OS has fallen silent
        self.theirs.key = a_key()
        self.theirs.power_on()
        request = self.theirs.desired().request
        assert request is not None
        self.request = request

    def _server(self, name: str, number: int) -> Machine:
        machine = Machine(self.world, number, key=a_key()).power_on()
        self.world.order(name=name)
        return machine.serve()

    def messages(self) -> dict[str, list[Any]]:
        """What speaks of the other's node, for each route."""
        theirs, world = self.theirs, self.world
        proof = self.mine.proof()
        entry = theirs.entry(100, self.request, JobState.SUCCEEDED)
        return {
            "/v1/agent/boot": [
                proof.model_copy(update={"nonce": theirs.identity().nonce}),
                proof.model_copy(update={"session": theirs.session}),
            ],
            "/v1/agent/certificate": [{"public_key": theirs.key.public if theirs.key else ""}],
            "/v1/agent/inventory": [theirs.inventory],
            "/v1/agent/heartbeat": [theirs.heartbeat(1000, applied_generation=77)],
            "/v1/agent/reports": [
                {"stream_id": stream, "reports": [entry.model_dump(mode="json")]}
                for stream in (theirs.stream_id, "a-stream-of-mine")
            ],
            "/v1/agent/bundles": [b"\x1f\x8b not theirs"],
            "": [world],
        }


def other_state(two: Two) -> list[Any]:
    """All that there is of the other node and its server, but what time alone changes."""
    node, server = two.world.node(two.theirs.node_id), two.world.server("theirs")
    with two.world.controller.read() as tx:
        streams = [stream for stream in tx.streams.all() if stream.node_id == two.theirs.node_id]
        requests = tx.assignments.all(node_id=two.theirs.node_id)
    return [node, server, streams, requests, two.world.job(server["job_id"])]


def test_no_route_reaches_another_node(world: World) -> None:
    """Whatever an agent sends that speaks of another node, over every route that the OpenAPI has: nothing of that node
    changes, and nothing of it is in the answer."""
    two = Two(world)
    messages, before = two.messages(), other_state(two)
    words = {two.theirs.node_id, world.server("theirs")["id"], two.request.request_id, "SN-"}
    agents = [route for route in routes() if route.is_agents and route.key not in OPEN]

    assert {route.path for route in agents if not route.reads} <= messages.keys(), (
        "a new route: say what speaks of another"
    )
    for route in agents:
        for message in messages.get(route.path, [None]):
            answer = sent(two.mine, route, message)
            assert [word for word in words if word in answer.text] == [], route
            assert other_state(two) == before, route


def sent(machine: Machine, route: Route, message: Any) -> Response:
    """A call of it, signed with the machine's own key."""
    target = DESIRED if route.reads else route.path
    is_raw = isinstance(message, bytes)
    content = b"" if message is None else message if is_raw else encoded(message)
    headers = {"Content-Type": "application/gzip" if is_raw else "application/json"}
    signed = machine.signature(route.method, target, content)
    return machine.world.http.request(
        route.method, target, content=content, headers=machine.authorization | headers | signed
    )


def encoded(message: Any) -> bytes:
    """As JSON."""
    return json.dumps(message).encode() if isinstance(message, dict) else message.model_dump_json().encode()


def test_a_revoked_node_is_not_heard(world: World, served: Machine) -> None:
    """Neither its service nor its ramdisk, until an operator approves it by its fingerprint; its server runs on."""
    world.user("POST", f"/v1/nodes/{served.node_id}/revoke")
    assert served.key is not None

    assert refusal(asked(served)) == (401, "AGENT.UNAUTHORIZED")
    assert refusal(served.send("/v1/agent/boot", served.proof())) == (401, "AGENT.UNAUTHORIZED")
    assert world.server()["status"] == "ACTIVE"
    assert (world.node()["revoked"], world.node()["maintenance"]) == (True, True)
    assert world.refused("POST", f"/v1/nodes/{served.node_id}/approve")[1] == "BMS.0018"
    world.user("POST", f"/v1/nodes/{served.node_id}/approve", {"fingerprint": served.key.fingerprint})
    assert served.prove().beat().current


def test_a_revoked_node_does_not_enrol(world: World, node: Machine) -> None:
    """Not with the next boot's token either, and not with an operator's."""
    world.user("POST", f"/v1/nodes/{node.node_id}/revoke")
    again = Machine(world, key=a_key(), boot_id="next")
    again.token = again.script().partition("bms.token=")[2].split()[0]

    assert refusal(again.send("/v1/agent/enroll", again.enrolment())) == (409, "ENROLL.REFUSED")
    again.token = world.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]
    assert refusal(again.send("/v1/agent/enroll", again.enrolment())) == (409, "ENROLL.REFUSED")


HERE = ("smbios:4c4c4544-0000-4000-8000-000000000001", "mac:52:54:00:00:01:01")
ELSEWHERE = ("smbios:4c4c4544-0000-4000-8000-0000000000ff", "mac:52:54:00:00:01:ff")


def test_a_copy_of_the_disk_is_noticed_and_stopped(world: World, served: Machine) -> None:
    """All that is on the disk, its serial too, in other hardware: refused, told to the operator, and given nothing; the
    server itself goes on."""
    clone = Machine(world, **{name: getattr(served, name) for name in ("number", "disks", "drive", "root", "key")})
    clone.credential, clone.boot_id = served.credential, "elsewhere"

    answer = clone.send("/v1/agent/boot", clone.proof(hardware=ELSEWHERE))
    assert refusal(answer) == (403, "BOOT.CLONE")
    assert refusal(asked(clone)) == (409, "BMS.STATE")
    assert world.node()["fault"]["code"] == "BOOT.CLONE"
    assert "52:54:00:00:01:ff" in world.node()["fault"]["message"]
    assert asked(served).status_code == 200
    assert served.beat().current
    served.send("/v1/agent/boot", served.proof(hardware=HERE))
    assert world.node()["fault"] is None


@pytest.mark.parametrize("hardware", [HERE, HERE[:1], HERE[1:], (*ELSEWHERE, HERE[1]), (HERE[0], ELSEWHERE[1]), ()])
def test_a_repaired_machine_is_no_copy(served: Machine, hardware: tuple[str, ...]) -> None:
    """Another NIC, or another mainboard with the same NIC: one mark is enough. An agent that tells none is heard."""
    assert served.send("/v1/agent/boot", served.proof(hardware=hardware)).status_code == 200


def test_a_new_mainboard_is_said(world: World, served: Machine) -> None:
    """Where nothing is as it was, the operator says that it is the same machine; no two nodes are one."""
    assert refusal(served.send("/v1/agent/boot", served.proof(hardware=ELSEWHERE)))[1] == "BOOT.CLONE"
    other = Machine(world, 2, key=a_key()).power_on()
    world.user("PATCH", f"/v1/nodes/{served.node_id}", {"identity": ELSEWHERE[0]})

    assert served.send("/v1/agent/boot", served.proof(hardware=ELSEWHERE)).status_code == 200
    assert world.refused("PATCH", f"/v1/nodes/{other.node_id}", {"identity": ELSEWHERE[0]})[1] == "BMS.NAME_TAKEN"


def test_a_new_nic_is_said(world: World, served: Machine) -> None:
    """Its server's address goes over to it, the node is known by it, and the old one opens nothing any more; a NIC that
    is not there, or is another's, is refused."""
    path, new = f"/v1/nodes/{served.node_id}", "52:54:00:00:01:fe"
    other = Machine(world, 2, key=a_key()).power_on()
    assert world.refused("PATCH", path, {"replaced_macs": {new: served.mac}})[1] == "BMS.NOT_FOUND"
    assert world.refused("PATCH", path, {"replaced_macs": {served.mac: other.mac}})[1] == "BMS.NAME_TAKEN"
    before = served.desired().network
    world.user("PATCH", path, {"replaced_macs": {served.mac: new}})

    assert world.node(served.node_id)["boot_mac"] == new
    told = served.desired().network
    assert before is not None and told is not None
    assert told.model_dump_json() == before.model_dump_json().replace(served.mac, new)
    answer = served.send("/v1/agent/boot", served.proof(hardware=(ELSEWHERE[0], f"mac:{new}")))
    assert answer.status_code == 200
    assert refusal(served.send("/v1/agent/boot", served.proof(hardware=(ELSEWHERE[0], HERE[1]))))[1] == "BOOT.CLONE"
