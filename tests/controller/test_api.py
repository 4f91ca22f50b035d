# SPDX-License-Identifier: Apache-2.0
"""The HTTP faces as such: errors, unknown fields, who may call, what is documented, and the long poll."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agent.controller.api.limits import UPLOAD_PATHS
from agent.model.protocol import Desired, Refusal
from tests.controller.machine import Machine
from tests.controller.world import KEY, World

MISTYPED = ("/v1/flavors", "/v1/agent/enroll")
USER_READS = ("nodes", "flavors", "images", "vpcs", "subnets", "security-groups", "eips", "keypairs", "servers")


ORDERS: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/flavors", {"name": "x", "cores": 1, "ram_mb": 512, "surprise": 1}, "surprise"),
    ("/v1/servers", {"name": "x", "flavor": "small", "image": "debian", "nics": [{"subnet": "a", "surprise": 1}]},
     "nics.0.surprise"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "place"), ORDERS)
def test_unknown_fields_of_an_order_are_refused(world: World, path: str, body: dict[str, Any], place: str) -> None:
    """What has a field that we do not know, at any depth, is not understood in part: 422, and the field is named. What
    agents tell is (`test_versions`).
    """
    fault = world.user("POST", path, body, status=422)["fault"]

    assert fault["code"] == "INPUT.UNDECODABLE" and place in fault["message"]


@pytest.mark.parametrize("query", ["generation=-1", "generation=x", "wait_s=301", "surprise=1"])
def test_a_wrong_query_is_refused(world: World, machine: Machine, query: str) -> None:
    """Query parameters are checked like bodies."""
    answer = world.http.get(f"/v1/agent/desired?{query}", headers=machine.authorization)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (422, "INPUT.UNDECODABLE")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "HTTP.404"),
        ("PUT", "/healthz", 405, "HTTP.405"),
        ("GET", "/images/none/content", 404, "BMS.NOT_FOUND"),
        ("GET", "/boot/ramdisk/vmlinuz", 404, "BMS.NOT_FOUND"),
        ("GET", "/boot/ramdisk/shadow", 404, "BMS.NOT_FOUND"),
        ("GET", "/boot/ipxe", 422, "INPUT.UNDECODABLE"),
    ],
)
def test_every_refusal_is_a_fault(world: World, method: str, path: str, status: int, code: str) -> None:
    """Whatever is wrong, the body is one form."""
    answer = world.http.request(method, path)
    fault = Refusal.model_validate_json(answer.text).fault

    assert (answer.status_code, fault.code) == (status, code)
    assert fault.hint


def test_who_mistypes_is_told_to_correct_it(world: World) -> None:
    """People's fields are named as theirs; that an agent's are not understood is a matter of versions."""
    headers = {"Authorization": f"Bearer {world.controller.user_token}"}
    hints = [world.http.post(path, json={}, headers=headers).json()["fault"]["hint"] for path in MISTYPED]

    assert ["Correct" in hint for hint in hints] == [True, False]
    assert ["versions" in hint for hint in hints] == [False, True]


def test_the_ramdisk_is_served(made: Callable[..., World], tmp_path: Path) -> None:
    """Kernel and initrd, from the directory that was named, and nothing else of it."""
    (tmp_path / "vmlinuz").write_bytes(b"kernel")
    (tmp_path / "initrd").write_bytes(b"initrd")
    (tmp_path / "manifest.json").write_bytes(b"{}")
    world = made(ramdisk=tmp_path)

    assert world.http.get("/boot/ramdisk/vmlinuz").content == b"kernel"
    assert world.http.get("/boot/ramdisk/initrd", headers={"Range": "bytes=1-2"}).content == b"ni"
    assert world.http.get("/boot/ramdisk/manifest.json").status_code == 404


@pytest.mark.parametrize("noun", USER_READS)
def test_users_need_the_token(world: World, noun: str) -> None:
    """Nobody reads or orders anything without it; a node's credential is no token."""
    machine = Machine(world).power_on()
    answers = [
        world.http.get(f"/v1/{noun}"),
        world.http.get(f"/v1/{noun}", headers={"Authorization": "Bearer wrong"}),
        world.http.get(f"/v1/{noun}", headers=machine.authorization),
        world.http.post(f"/v1/{noun}", json={}),
    ]

    assert {answer.json()["fault"]["code"] for answer in answers[:3]} == {"AUTH.REQUIRED"}
    assert answers[3].status_code in (401, 405)
    assert answers[0].headers["www-authenticate"] == "Bearer"


def test_the_token_may_be_waived(made: Callable[..., World]) -> None:
    """On a machine of one's own."""
    assert made(insecure_user_api=True).http.get("/v1/nodes").status_code == 200


def test_agents_need_their_credential(world: World, machine: Machine) -> None:
    """Without one, or with the user's token, no agent is heard."""
    tokens = ("", "wrong", world.controller.user_token)
    answers = [world.http.get("/v1/agent/desired", headers={"Authorization": f"Bearer {token}"}) for token in tokens]

    assert {(one.status_code, one.json()["fault"]["code"]) for one in answers} == {(401, "AGENT.UNAUTHORIZED")}


def test_the_api_is_documented(world: World) -> None:
    """OpenAPI is served without a token, has every face, and is shown on a page that needs no internet."""
    openapi = world.http.get("/openapi.json").json()
    page = world.http.get("/docs").text

    assert {"/v1/agent/enroll", "/v1/agent/desired", "/v1/servers", "/v1/jobs/{job_id}", "/boot/ipxe"} <= set(
        openapi["paths"]
    )
    assert "/v1/servers" in page
    assert "https://" not in page


def test_healthz(world: World, machine: Machine) -> None:
    """It answers from the database."""
    assert world.http.get("/healthz").json()["nodes"] == 1


def test_a_long_poll_is_woken(world: World, machine: Machine) -> None:
    """An agent that waits is answered when something is ordered, long before its wait is over."""
    held = machine.desired().generation
    answers: list[Desired] = []

    def wait() -> None:
        answer = world.http.get(
            "/v1/agent/desired", params={"generation": held, "wait_s": 60}, headers=machine.authorization
        )
        answers.append(Desired.model_validate_json(answer.text))

    poll = Thread(target=wait)
    poll.start()
    world.order()
    poll.join(30)

    assert [answer.generation > held and answer.request is not None for answer in answers] == [True]


def test_an_ending_process_lets_nobody_wait(world: World, machine: Machine) -> None:
    """Long polls are answered at once with what there is."""
    held = machine.desired().generation
    world.controller.wakeups.close()
    answer = world.http.get(
        "/v1/agent/desired", params={"generation": held, "wait_s": 60}, headers=machine.authorization
    )

    assert answer.json()["generation"] == held


def test_a_poll_of_the_present_generation_is_answered_after_the_wait(world: World, machine: Machine) -> None:
    """With the same state again."""
    held = machine.desired()

    assert machine.desired() == held


def test_an_earlier_run_is_not_told_anything(world: World, server: Machine) -> None:
    """A ramdisk's credential of the boot before opens no desired state while the OS runs."""
    controller = world.controller
    with controller.read() as tx:
        boot = next(one.boot_id for one in tx.sessions.all() if one.mode == "ramdisk")
    stale = controller.keys.derive("ramdisk credential", server.node_id, boot)
    answer = world.http.get("/v1/agent/desired", headers={"Authorization": f"Bearer {stale}"})

    assert (answer.status_code, answer.json()["fault"]["code"]) == (409, "BMS.STATE")


@pytest.mark.parametrize(
    ("noun", "body", "code"),
    [
        ("flavors", {"name": "small"}, "BMS.NAME_TAKEN"),
        ("vpcs", {"name": "cloud"}, "BMS.NAME_TAKEN"),
        ("subnets", {"name": "other", "vpc": "cloud", "cidr": "10.1.0.128/25"}, "BMS.0018"),
        ("subnets", {"name": "other", "vpc": "none", "cidr": "10.7.0.0/24"}, "BMS.NOT_FOUND"),
        ("keypairs", {"name": "me", "public_key": KEY}, "BMS.NAME_TAKEN"),
        ("keypairs", {"name": "you", "public_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx"}, "BMS.0211"),
        ("keypairs", {"name": "you", "public_key": "ssh-ed25519 \x80"}, "BMS.0211"),
    ],
)
def test_what_cannot_be_created(world: World, noun: str, body: dict[str, Any], code: str) -> None:
    """Each with its own code."""
    assert world.refused("POST", f"/v1/{noun}", body)[1] == code


@pytest.mark.parametrize("path", ["flavors/small", "vpcs/cloud", "subnets/net", "keypairs/me"])
def test_what_is_in_use_stays(world: World, machine: Machine, path: str) -> None:
    """Nothing is deleted while a server stands on it; afterwards it is, and is gone."""
    world.order()
    assert world.refused("DELETE", f"/v1/{path}")[1] == "BMS.IN_USE"
    world.user("DELETE", "/v1/servers/web")
    machine.serve()
    if path.startswith("vpcs"):
        world.user("DELETE", "/v1/subnets/net")
    world.user("DELETE", f"/v1/{path}", status=204)

    assert world.refused("GET", f"/v1/{path}")[1] == "BMS.NOT_FOUND"
    assert world.refused("DELETE", f"/v1/{path}")[1] == "BMS.NOT_FOUND"


def test_a_body_without_end_is_cut_off(world: World, machine: Machine) -> None:
    """More than an inventory can ever need is refused while it comes, whoever sends it."""

    def parts() -> Iterator[bytes]:
        for _ in range(9):
            yield b" " * 2**20

    answer = world.http.post("/v1/agent/enroll", content=parts())

    assert (answer.status_code, answer.json()["fault"]["code"]) == (413, "HTTP.413")


@pytest.mark.parametrize("kind", ["application/json", "application/gzip", "application/octet-stream", None])
@pytest.mark.parametrize("path", UPLOAD_PATHS)
@pytest.mark.parametrize("token", [None, "wrong"])
def test_no_byte_of_a_strangers_upload_is_read(world: World, path: str, kind: str | None, token: str | None) -> None:
    """A body that may be of any size is begun only once it is known who sends it, whatever it says to be."""
    read = []

    def body() -> Iterator[bytes]:
        for _ in range(64):
            read.append(bytes(2**20))
            yield read[-1]

    told = {"Content-Type": kind, "Authorization": f"Bearer {token}" if token else None}
    headers = {name: value for name, value in told.items() if value is not None}
    scope_path = f"{path}?name=x" if "images" in path else path
    answer = world.http.post(scope_path, content=body(), headers=headers)

    assert answer.status_code == 401
    assert read == []


def test_a_generation_is_raised_and_never_lowered(world: World, server: Machine) -> None:
    """After a restored backup an operator raises it above what the agent holds; nobody can lower it."""
    path, held = f"/v1/nodes/{server.node_id}", server.desired().generation
    server.generation = 1000  # what the agent holds; the controller has forgotten it
    with pytest.raises(AssertionError, match="went backwards"):
        server.desired()
    assert "agent knows a newer desired state" in world.log.getvalue()
    world.user("PATCH", path, {"generation": 1001})

    assert server.desired().generation == 1001
    assert world.refused("PATCH", path, {"generation": held})[:2] == (400, "BMS.0018")


def test_a_node_is_renamed(world: World, machine: Machine) -> None:
    """To a name that no other has."""
    other = Machine(world, 2).power_on()
    assert world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"name": "rack1-07"})["name"] == "rack1-07"

    assert world.refused("PATCH", f"/v1/nodes/{other.node_id}", {"name": "rack1-07"})[1] == "BMS.NAME_TAKEN"


def test_a_number_beyond_all_columns_is_refused(world: World, machine: Machine) -> None:
    """JSON knows no largest one, and the database does: that is a fault of what was sent, whose field is named."""
    request = {"request_id": "r", "verb": "image.deploy", "state": "running", "at": "2026-05-01T00:00:00Z"}
    batch = {"stream_id": "s", "reports": [{"sequence": 2**63, "report": request}]}
    answer = world.http.post("/v1/agent/reports", json=batch, headers=machine.authorization)

    refused = world.refused("POST", "/v1/flavors", {"name": "vast", "cores": 10**30})

    assert (answer.status_code, refused[0]) == (422, 422)
    assert "sequence" in answer.json()["fault"]["message"] and "cores" in refused[2]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example:8480"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_where_no_token_is_asked_for_no_page_calls(made: Callable[..., World], headers: dict[str, str]) -> None:
    """A page in the browser of whoever reaches the controller, or a name of the page's that leads to it, does nothing;
    a program does, and with a token a page is nobody's tool: it has none."""
    world = made(insecure_user_api=True)
    before = world.http.get("/v1/users").json()
    for method, path in (("POST", "/v1/servers/none/stop"), ("GET", "/v1/nodes")):
        answer = world.http.request(method, path, headers=headers, content=b"x=1")
        assert (answer.status_code, answer.json()["fault"]["code"]) == (403, "AUTH.FORBIDDEN")
    form = {"Content-Type": "text/plain"} | headers
    assert world.http.post("/v1/users", headers=form, content=b'{"name": "mole"}').status_code in (403, 422)

    assert world.http.get("/v1/users").json() == before
    for host in ("localhost", "127.0.0.1:8480", "[::1]:8480"):
        assert world.http.get("/v1/nodes", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/servers", {"name": "w", "flavor": "@", "image": "debian", "nics": [{"subnet": "net"}]}),
        ("POST", "/v1/vpcs", {"name": "w", "@": 1}),
        ("POST", "/v1/nodes/none/quarantine", {"disk": "@", "accepted": True}),
        ("POST", "/v1/nodes/none/clean", ["@"]),
        ("POST", "/v1/agent/inventory", {"system": {"vendor": "@"}}),
        ("POST", "/v1/agent/reports", {"stream_id": "@", "reports": []}),
    ],
)
@pytest.mark.parametrize("code", ["utf-8", "utf-16", "utf-32", "escape"])
def test_half_a_character_is_refused(
    world: World, machine: Machine, method: str, path: str, body: Any, code: str
) -> None:
    """However it is written: it is the caller's fault, and never ours."""
    half = "\ud800"
    text = json.dumps(body, ensure_ascii=False).replace("@", "\\uD800" if code == "escape" else half)
    content = text.encode("utf-8" if code == "escape" else code, "surrogatepass")
    token = machine.credential if "/agent/" in path else world.controller.user_token
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = world.http.request(method, path, content=content, headers=headers)

    assert answer.status_code == 422
    assert "surrogate" in answer.json()["fault"]["message"]
