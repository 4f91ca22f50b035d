# SPDX-License-Identifier: Apache-2.0
"""Many at the same moment with what is good once; what was good when a call began, and is not when it is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from agent.controller.peer import Doorkeeper
from tests.controller.machine import Machine, a_key
from tests.controller.people import administrator, person
from tests.controller.test_doors import LOOPBACK, serving
from tests.controller.world import World

MANY = 50
PATIENCE_S = 30.0


def enrolled(machines: list[Machine]) -> list[tuple[int, str]]:
    """All of them enrol at once: status, and the code of a refusal."""
    with ThreadPoolExecutor(len(machines)) as pool:
        answers = pool.map(lambda one: one.send("/v1/agent/enroll", one.enrolment()), machines)
        return [(one.status_code, "" if one.is_success else one.json()["fault"]["code"]) for one in answers]


@pytest.mark.parametrize(("spec", "let_in"), [({"machines": 1}, 1), ({"rack": "r7", "machines": 7}, 7)])
def test_an_operators_token(made: Callable[..., World], spec: dict[str, Any], let_in: int) -> None:
    """As many machines come by it as it is for, whoever asks at the same moment; the others leave no node."""
    world = made(enrolment="manual")
    token = administrator(world).does("POST", "/v1/enrolment-tokens", spec)["token"]
    answers = enrolled([Machine(world, at, token=token, boot_id=f"b{at}", key=a_key()) for at in range(1, MANY + 1)])

    assert sorted(answers) == [(200, "")] * let_in + [(403, "ENROLL.TOKEN_REFUSED")] * (MANY - let_in)
    assert len(world.user("GET", "/v1/nodes")) == let_in


def test_a_boots_token(made: Callable[..., World]) -> None:
    """Of fifty keys that are shown with one boot's token, one is heard."""
    world = made(enrolment="manual")
    found = re.search(r"bms\.token=(\S+)", Machine(world).script())
    assert found
    answers = enrolled([Machine(world, token=found[1], boot_id=f"b{at}", key=a_key()) for at in range(MANY)])

    assert sorted(answers) == [(200, "")] + [(403, "ENROLL.TOKEN_REFUSED")] * (MANY - 1)


@pytest.mark.parametrize("ends", ["revoked", "deleted"])
def test_a_poll_that_waits_is_judged_when_it_is_answered(world: World, ends: str) -> None:
    """Whoever is shut out while they wait for news is told none: not its network, not its secrets."""
    machine = Machine(world, key=a_key()).power_on()
    world.order()
    machine.serve()
    target = f"/v1/agent/desired?generation={machine.desired().generation}&wait_s=20"
    headers, told = machine.authorization | machine.signature("GET", target), []
    thread = Thread(target=lambda: told.append(world.http.get(target, headers=headers)))
    thread.start()
    waited(world, machine.node_id)
    if ends == "revoked":
        world.user("POST", f"/v1/nodes/{machine.node_id}/revoke")
    else:
        with world.controller.write() as tx:
            tx.credentials.remove(node_id=machine.node_id)
    world.user("PATCH", "/v1/servers/web", {"drift": "report"})
    thread.join(PATIENCE_S)

    [answer] = told
    assert (answer.status_code, answer.json()["fault"]["code"]) == (401, "AGENT.UNAUTHORIZED")


@pytest.mark.parametrize("ends", ["revoked", "deleted"])
@pytest.mark.parametrize("path", ["/v1/images/upload?name=up&format=raw", "/v1/images/import/upload?name=up&kind=raw"])
def test_an_upload_is_judged_when_it_is_kept(copy: Path, path: str, ends: str) -> None:
    """Whoever is shut out while they send an image has sent it in vain: there is none, and no file of it."""
    with serving(copy, Doorkeeper()) as (world, plain, _):
        eve = person(world, "eve", "operator")
        [token] = [one for one in administrator(world).does("GET", "/v1/tokens") if one["user"] == "eve"]
        with closing(HTTPConnection(LOOPBACK, plain, timeout=PATIENCE_S)) as sender:
            sender.putrequest("POST", path)
            sender.putheader("Authorization", f"Bearer {eve.token}")
            sender.putheader("Content-Length", "8192")
            sender.endheaders(bytes(4096))
            until_s = monotonic() + PATIENCE_S
            while not left_of(world):
                assert monotonic() < until_s
                sleep(0.01)
            administrator(world).does("DELETE", f"/v1/tokens/{token['id']}" if ends == "revoked" else "/v1/users/eve")
            sender.send(bytes(4096))
            assert sender.getresponse().status == 401

        assert [image["name"] for image in administrator(world).does("GET", "/v1/images")] == ["debian"]
        assert left_of(world) == []


def left_of(world: World) -> list[Path]:
    """Files of images, and of imports."""
    controller = world.controller
    return [path for folder in (controller.images, controller.imports) for path in folder.rglob("*")]


def waited(world: World, node_id: str) -> None:
    """Until its poll hangs."""
    until_s = monotonic() + PATIENCE_S
    while not world.controller.wakeups.waiting(node_id):
        assert monotonic() < until_s
        sleep(0.01)
