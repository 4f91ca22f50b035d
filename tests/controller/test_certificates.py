# SPDX-License-Identifier: Apache-2.0
"""Certificates of nodes: over TLS every call of an agent comes by a connection that its own node's certificate opened;
what may do without is what leads to one."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from httpx2 import Response

from agent.controller import certificates
from agent.controller.certificates import KEY_URN, URN
from agent.controller.tls import Authority, load_authority
from agent.model.job import JobState
from agent.model.protocol import CERTIFICATE_CODE, CERTIFICATE_PATH, CertificateRequest
from tests.controller.machine import Machine, a_key
from tests.controller.routes import OPEN, Route, routes
from tests.controller.test_identity import Two, asked, refusal, sent
from tests.controller.world import World

REFUSED = (403, CERTIFICATE_CODE)
DAY_S = 86400.0


def der(pem: str) -> bytes:
    """As a connection shows it."""
    return ssl.PEM_cert_to_DER_cert(pem)


def issue(authority: Authority, node_id: str, node_key: str, now: datetime, days: float) -> str:
    """A certificate of that node and that key of its, for another key, as PEM."""
    return certificates.issue(authority, node_id, node_key, a_key().public, now, days)


def authority_of(world: World) -> Authority:
    """The controller's."""
    assert world.controller.authority is not None
    return world.controller.authority


@pytest.fixture
def secured(made: Callable[..., World]) -> World:
    """A controller that agents call over TLS."""
    return made(listen_tls="127.0.0.1:8481")


@pytest.fixture
def node(secured: World) -> Machine:
    """A machine in its ramdisk, whose connections are opened with its certificate."""
    machine = Machine(secured, key=a_key()).power_on()
    secured.peer = der(machine.certificate_of_node())
    return machine


@pytest.fixture
def two(made: Callable[..., World]) -> Iterator[Two]:
    """Two nodes with a server each, made before the controller had TLS; it has now."""
    world = made()
    two = Two(world)
    world.options = world.options.model_copy(update={"listen_tls": "127.0.0.1:8481"})
    world.restart()
    world.clock.move(1)
    yield two


def test_what_a_certificate_says(secured: World, node: Machine) -> None:
    """Which node, by which key, for a week, and that it opens connections and answers none; the authority signed it.
    Its own key is another than the node's, which is in no process that speaks TLS."""
    assert secured.peer is not None and node.key is not None
    made = x509.load_der_x509_certificate(secured.peer)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_of(secured).pem.encode()))
    assert made.subject.rfc4514_string() == f"CN={node.node_id}"
    key = base64.b64decode(node.key.public)
    of_key = KEY_URN + hashlib.sha256(key).hexdigest()
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URN + node.node_id, of_key]
    found = made.public_key()
    assert isinstance(found, Ed25519PublicKey) and found.public_bytes_raw() != key
    assert [one.dotted_string for one in usage] == ["1.3.6.1.5.5.7.3.2"]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_after_utc == secured.clock.now() + timedelta(days=7)
    assert asked(node).status_code == 200


def asking() -> CertificateRequest:
    """For a certificate of a key."""
    return CertificateRequest(public_key=a_key().public)


def told(two: Two, route: Route) -> list[Response]:
    """Calls of it, signed as they should be."""
    return [sent(two.mine, route, message) for message in two.messages().get(route.path, [None])]


def agents_routes() -> list[Route]:
    """All that a credential opens."""
    return [route for route in routes() if route.is_agents and route.key not in OPEN]


def certificates_that_are_not_its(two: Two, elsewhere: Path) -> dict[str, bytes | None]:
    """By what is wrong with each."""
    mine, theirs, world = two.mine, two.theirs, two.world
    assert mine.key is not None and theirs.key is not None
    ours, now = authority_of(world), world.clock.now()
    return {
        "none": None,
        "another node's": der(issue(ours, theirs.node_id, theirs.key.public, now, 7)),
        "another node's, by this one's key": der(issue(ours, theirs.node_id, mine.key.public, now, 7)),
        "another key's": der(issue(ours, mine.node_id, a_key().public, now, 7)),
        "over": der(issue(ours, mine.node_id, mine.key.public, now - timedelta(days=8), 7)),
        "not begun": der(issue(ours, mine.node_id, mine.key.public, now + timedelta(days=1), 7)),
        "another authority's": der(issue(load_authority(elsewhere), mine.node_id, mine.key.public, now, 7)),
        "the authority itself": der(ours.pem),
        "no certificate": b"\x30\x00",
    }


def test_over_every_route(two: Two, tmp_path: Path) -> None:
    """With a good credential and a good signature, but another node's certificate, one that is over, or none: no route
    that the OpenAPI has is open, but that for a certificate; with the node's own, each answers for itself."""
    assert two.mine.key is not None
    wrong = certificates_that_are_not_its(two, tmp_path)
    own = der(issue(authority_of(two.world), two.mine.node_id, two.mine.key.public, two.world.clock.now(), 7))
    seen = set()
    for route in agents_routes():
        for what, two.world.peer in wrong.items():
            for answer in told(two, route):
                if route.path == CERTIFICATE_PATH:
                    assert answer.status_code == 200, (route, what)
                else:
                    assert refusal(answer) == REFUSED, (route, what)
        two.world.peer = own
        assert [answer.text for answer in told(two, route) if CERTIFICATE_CODE in answer.text] == [], route
        seen.add(route.path)
    assert {"/v1/agent/desired", "/v1/agent/boot", "/v1/agent/bundles", CERTIFICATE_PATH} <= seen


def test_a_certificate_s_end_is_the_controller_s_to_say(secured: World, node: Machine) -> None:
    """A week by the controller's clock; then a signed call, and nothing else, leads on. One of before a clock that was
    set back is no good either, and is replaced the same way."""
    secured.clock.move(7 * DAY_S - 60)
    assert asked(node).status_code == 200
    secured.clock.move(120)
    answer = asked(node)

    assert refusal(answer) == REFUSED
    assert "ended at 2026-05-08 12:00:00 UTC" in answer.json()["fault"]["message"]
    secured.peer = der(node.certificate_of_node())
    assert asked(node).status_code == 200
    secured.clock.jump(-30 * DAY_S)
    secured.clock.move(1)
    assert "begins at" in asked(node).json()["fault"]["message"]
    secured.peer = der(node.certificate_of_node())
    assert asked(node).status_code == 200


def test_a_revoked_node_s_certificate_opens_nothing(secured: World, node: Machine) -> None:
    """From the very next call; nor is it given another."""
    secured.user("POST", f"/v1/nodes/{node.node_id}/revoke")

    assert refusal(asked(node)) == (401, "AGENT.UNAUTHORIZED")
    assert refusal(node.send(CERTIFICATE_PATH, asking())) == (401, "AGENT.UNAUTHORIZED")


def test_a_certificate_of_a_key_that_is_lost_opens_nothing(secured: World, node: Machine) -> None:
    """The ramdisk's next boot has another key; what the last one left behind is worth nothing."""
    before, former = secured.peer, node.key
    node.key = a_key()
    node.power_on()
    assert refusal(asked(node)) == REFUSED

    secured.peer = der(node.certificate_of_node())
    assert asked(node).status_code == 200
    node.key, secured.peer = former, before
    assert refusal(asked(node)) == (401, "AGENT.UNAUTHORIZED")


def test_only_the_bound_key_is_certified(secured: World, node: Machine) -> None:
    """Not whoever has a credential alone, nor with a key of their own."""
    key, node.key = node.key, None
    assert refusal(node.send(CERTIFICATE_PATH, asking())) == (401, "AGENT.UNAUTHORIZED")
    node.key = a_key()
    assert refusal(node.send(CERTIFICATE_PATH, asking())) == (401, "AGENT.UNAUTHORIZED")
    node.key = key
    assert node.certificate_of_node()


def test_a_server_s_first_proof_needs_none(secured: World, node: Machine) -> None:
    """It binds the key of its service, and is signed; from then on there is one. Nothing else comes before it."""
    secured.order()
    request = node.desired().request
    node.write(request)  # type: ignore[arg-type]
    node.report(request, JobState.RUNNING, "write_image")  # type: ignore[arg-type]
    node.report(request, JobState.SUCCEEDED)  # type: ignore[arg-type]
    secured.peer, node.key = None, a_key()
    proof = node.proof()

    assert refusal(asked(node)) == REFUSED
    assert refusal(node.send(CERTIFICATE_PATH, asking())) == REFUSED
    assert node.send("/v1/agent/boot", proof).status_code == 200
    assert secured.server()["status"] == "ACTIVE"
    assert refusal(asked(node)) == refusal(node.send("/v1/agent/boot", proof)) == REFUSED
    secured.peer = der(node.certificate_of_node())
    assert node.beat().current
    assert node.send("/v1/agent/boot", proof).status_code == 200


def test_a_node_that_waits_has_none(made: Callable[..., World]) -> None:
    """It is heard, as far as one that is not let in is; approved, it needs one like any other, and gets it."""
    world = made(enrolment="manual", listen_tls="127.0.0.1:8481")
    machine = Machine(world, key=a_key()).power_on()
    assert machine.key is not None
    assert machine.beat().current
    assert refusal(machine.send(CERTIFICATE_PATH, asking())) == REFUSED

    world.user("POST", f"/v1/nodes/{machine.node_id}/approve", {"fingerprint": machine.key.fingerprint})
    assert refusal(asked(machine)) == REFUSED
    world.peer = der(machine.certificate_of_node())
    assert asked(machine).status_code == 200


def test_an_agent_of_an_earlier_release(made: Callable[..., World]) -> None:
    """It has no key, so it gets no certificate: it is refused, and the operator is told what to do; with certificates
    not required it is heard as before. A certificate that is shown has to be the node's even then."""
    world = made()
    old = Machine(world).power_on()
    world.order()
    old.serve()
    world.options = world.options.model_copy(update={"listen_tls": "127.0.0.1:8481"})
    world.restart()

    assert refusal(asked(old)) == REFUSED
    assert world.node()["fault"]["code"] == CERTIFICATE_CODE
    assert "--no-require-certificates" in world.node()["fault"]["hint"]
    world.options = world.options.model_copy(update={"require_certificates": False})
    world.restart()
    assert asked(old).status_code == 200
    world.peer = der(issue(authority_of(world), "another", a_key().public, world.clock.now(), 7))
    assert refusal(asked(old)) == REFUSED


def test_without_tls_there_are_none(world: World) -> None:
    """Neither asked for nor given: calls are signed, as ever."""
    machine = Machine(world, key=a_key()).power_on()

    assert asked(machine).status_code == 200
    assert refusal(machine.send(CERTIFICATE_PATH, asking())) == REFUSED
    assert "--listen-tls" in machine.send(CERTIFICATE_PATH, asking()).json()["fault"]["hint"]


def test_the_days_are_an_option(made: Callable[..., World]) -> None:
    """`--certificate-days`."""
    world = made(listen_tls="127.0.0.1:8481", certificate_days=0.5)
    machine = Machine(world, key=a_key()).power_on()
    ends = x509.load_pem_x509_certificate(machine.certificate_of_node().encode()).not_valid_after_utc

    assert ends == datetime(2026, 5, 2, tzinfo=UTC)


@pytest.mark.parametrize("key", ["", "A" * 44, "A" * 42 + "==", "é" * 43 + "=", "A" * 10_000])
def test_what_is_no_key_is_not_certified(node: Machine, key: str) -> None:
    """It is refused, and is no fault of ours."""
    content = json.dumps({"public_key": key}).encode()
    headers = node.authorization | {"Content-Type": "application/json"}
    headers |= node.signature("POST", CERTIFICATE_PATH, content)

    assert node.world.http.post(CERTIFICATE_PATH, content=content, headers=headers).status_code == 422


@pytest.mark.parametrize("boots", [False, True], ids=["a server", "a ramdisk"])
def test_who_was_told_to_call_in_the_clear(made: Callable[..., World], boots: bool) -> None:
    """Before the controller had TLS: it has a key, and does not know of TLS. It is refused, and the operator told what
    to do; that is over once it is heard."""
    world = made()
    machine = Machine(world, key=a_key()).power_on()
    if not boots:
        world.order()
        machine.serve()
    world.options = world.options.model_copy(update={"listen_tls": "127.0.0.1:8481"})
    world.restart()
    world.clock.move(1)

    assert refusal(asked(machine)) == REFUSED
    fault = world.node()["fault"]
    assert fault["code"] == CERTIFICATE_CODE and "calls in the clear" in fault["message"]
    assert "agent.toml" in fault["hint"] and "--no-require-certificates" in fault["hint"]
    if boots:
        machine.key = a_key()
        machine.power_on()
        world.peer = der(machine.certificate_of_node())
        assert asked(machine).status_code == 200
    else:
        world.options = world.options.model_copy(update={"require_certificates": False})
        world.restart()
        world.clock.move(1)
        assert asked(machine).status_code == 200
    assert world.node()["fault"] is None


def test_over_tls_an_agent_with_a_key_helps_itself(secured: World) -> None:
    """A process that has just begun has no certificate yet: nobody is told."""
    machine = Machine(secured, key=a_key()).power_on()
    secured.http.base_url = "https://testserver"

    assert refusal(asked(machine)) == REFUSED
    assert secured.node()["fault"] is None
