# SPDX-License-Identifier: Apache-2.0
"""Secrets: planted everywhere, and looked for in the log, in every answer, and in the database."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from agent.controller.keys import Keys, load_key, load_token
from agent.controller.log import configure
from agent.model.job import JobState
from agent.program.log import SETTINGS
from tests.controller.machine import Machine
from tests.controller.world import World

PLANTED = "pl4nt3d-in-user-data"
BMC = {"address": "https://10.0.0.9/redfish/v1/Systems/1", "username": "admin", "password": "pl4nt3d-bmc-password"}
READS = ("nodes", "flavors", "images", "vpcs", "subnets", "keypairs", "servers", "servers?deleted=true")


def life(world: World) -> tuple[set[str], list[str]]:
    """A server's whole life with many mistakes; the secrets that were in it, and every answer that a user got."""
    machine = Machine(world).power_on()
    secrets = {machine.token, machine.credential, PLANTED, BMC["password"], world.controller.user_token}
    answers = [world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})]
    answers.append(world.order(user_data=base64.b64encode(PLANTED.encode()).decode()))
    secrets.add(base64.b64encode(PLANTED.encode()).decode())
    answers += reads(world, machine)
    world.look()
    machine.power_on()
    secrets |= {machine.token, machine.credential}
    machine.serve()
    identity = machine.identity()
    secrets |= {identity.nonce.get_secret_value(), identity.credential.get_secret_value()}
    answers += reads(world, machine)
    mistakes(world, machine)
    world.power.broken = True
    world.user("POST", "/v1/servers/web/reboot", {"type": "HARD"})
    world.look(10)
    answers += reads(world, machine)
    world.power.broken = False
    world.user("DELETE", "/v1/servers/web")
    world.look()
    machine.power_on().serve()
    return secrets, [str(answer) for answer in answers + reads(world, machine)]


def reads(world: World, machine: Machine) -> list[object]:
    """Everything that a user can read."""
    one = [world.user("GET", f"/v1/nodes/{machine.node_id}")]
    return one + [world.user("GET", f"/v1/{path}") for path in READS] + [world.http.get("/openapi.json").text]


def mistakes(world: World, machine: Machine) -> None:
    """Messages with secrets in them that are refused."""
    proof = machine.proof()
    machine.send("/v1/agent/boot", proof.model_copy(update={"root_disk_serial": "x", "root_disk_wwn": "y"}))
    wrong = proof.model_dump(mode="json") | {"nonce": [proof.nonce.get_secret_value()]}
    world.http.post("/v1/agent/boot", json=wrong, headers=machine.authorization)
    world.http.post(f"/v1/agent/phone-home/{proof.nonce.get_secret_value()}")
    world.http.post("/v1/agent/enroll", json={"token": machine.token})
    world.refused("POST", "/v1/servers", {"name": "x", "user_data": PLANTED, "nics": [{"subnet": "net"}]})
    world.refused("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC | {"address": "nonsense"}})
    world.http.get("/v1/nodes", headers={"Authorization": f"Basic {world.controller.user_token}"})
    machine.prove()


def test_no_secret_is_told(world: World) -> None:
    """Tokens, credentials, nonces, passwords, user data: in no line of the log, in no answer to a user."""
    secrets, answers = life(world)
    text = world.log.getvalue()

    assert {secret for secret in secrets if secret in text} == set()
    assert {secret for secret in secrets if any(secret in answer for answer in answers)} == set()
    assert all(len(secret) > 8 for secret in secrets)
    assert "server ACTIVE" in text
    assert "boot proof refused" in text


def test_no_credential_is_in_the_database(world: World, server: Machine) -> None:
    """Whoever reads the database alone can speak for nobody."""
    identity = server.identity()
    credentials = {server.token, identity.nonce.get_secret_value(), identity.credential.get_secret_value()}
    stored = b"".join(path.read_bytes() for path in world.options.data.glob("controller.sqlite*"))

    assert server.mac.encode() in stored
    assert {one for one in credentials if one.encode() in stored} == set()


def test_user_data_is_forgotten_with_its_server(world: World, machine: Machine) -> None:
    """A deleted server's record has none."""
    ordered = world.order(user_data=base64.b64encode(PLANTED.encode()).decode())
    world.user("DELETE", "/v1/servers/web")
    machine.serve()
    with world.controller.read() as tx:
        server = tx.servers.get(ordered["server_id"])

    assert server is not None
    assert server.user_data is None


def test_the_log_reads_well(world: World, machine: Machine) -> None:
    """One line an event, with the words that an operator looks for."""
    world.order()
    machine.serve()
    lines = world.log.getvalue().splitlines()

    for words in ("server BUILD", "request handed out", "phase=write_image", "network boot", "server ACTIVE"):
        assert any(words in line for line in lines), words
    assert all(line.startswith("20") for line in lines)


def test_a_failure_is_one_line_of_json_too(world: World, machine: Machine) -> None:
    """The JSON form is for collectors: every line is an object."""
    stream = io.StringIO()
    configure("info", "json", stream)
    world.order()
    request = machine.desired().request
    assert request is not None
    machine.report(request, JobState.FAILED)
    SETTINGS.forgotten()

    lines = stream.getvalue().splitlines()
    assert lines
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_key_files_are_private_and_stay(tmp_path: Path) -> None:
    """Made on first use, readable by their owner alone, the same ever after."""
    first = (load_key(tmp_path / "key").derive("p", "s"), load_token(tmp_path / "token"))
    second = (load_key(tmp_path / "key").derive("p", "s"), load_token(tmp_path / "token"))

    assert first == second
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {"key": 0o600, "token": 0o600}
    assert (tmp_path / "key").stat().st_size == 32


def test_secrets_differ_by_purpose_and_subject() -> None:
    """No two purposes and no two subjects share a secret, however their names are put together."""
    keys = Keys(b"k" * 32)
    derived = [keys.derive("a", "b"), keys.derive("a", "c"), keys.derive("ab"), keys.derive("a", "b", "")]

    assert len(set(derived)) == 4
    assert keys.derive("a", "b") != Keys(b"l" * 32).derive("a", "b")
