# SPDX-License-Identifier: Apache-2.0
"""`bmsctl user`, `token`, `audit`, `whoami`: what an administrator types, and what whoever is let in may do."""

from __future__ import annotations

import pytest

from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine, a_key
from tests.controller.world import World


def test_a_user_is_let_in_and_out(bmsctl: Keyboard, world: World) -> None:
    """Created, given a token that is the whole output, kept to a project, and shut out again."""
    assert bmsctl("user", "create", "ada", "--role", "operator", "--project", "blue").output == (
        "user ada created: operator of project blue\n"
    )
    token = bmsctl("token", "create", "ada", "--days", "7", "--note", "laptop").output.strip()
    ada = Keyboard(world, token)

    assert ada("whoami").output == "ada: operator of project blue\n"
    assert ada("security-group", "create", "hers").status == 0
    refused = ada("node", "list")
    assert (refused.status, "AUTH.FORBIDDEN" in refused.error) == (2, True)
    listed = bmsctl("token", "list", "--json").json
    assert [(one["user"], one["note"]) for one in listed] == [("ada", "laptop")]
    assert bmsctl("token", "revoke", listed[0]["id"]).output == f"token {listed[0]['id']} of ada revoked\n"
    assert "AUTH.REQUIRED" in ada("whoami").error
    assert bmsctl("user", "delete", "ada").status == 0
    assert "ada" not in bmsctl("user", "list").output


def test_tables_of_users_and_tokens(bmsctl: Keyboard) -> None:
    """A line each, with what matters."""
    bmsctl("user", "create", "ada", "--role", "admin")
    token = bmsctl("token", "create", "ada", "--role", "viewer").output.strip()
    users, tokens = bmsctl("user", "list").output, bmsctl("token", "list").output

    for word in ("ada", "admin", "the whole cloud"):
        assert word in users
    assert "viewer" in tokens
    assert token not in tokens


def test_the_audit_trail(bmsctl: Keyboard, world: World) -> None:
    """Who did what, the newest first; and what was refused."""
    bmsctl("user", "create", "ada", "--role", "viewer")
    ada = Keyboard(world, bmsctl("token", "create", "ada").output.strip())
    ada("vpc", "delete", "cloud")
    lines = bmsctl("audit", "list", "--limit", "2").output.splitlines()
    entries = bmsctl("audit", "list", "--json").json

    assert "AUTH.FORBIDDEN" in next(line for line in lines if "DELETE /v1/vpcs/cloud" in line)
    assert len([line for line in lines if "/v1/" in line]) == 2
    older = bmsctl("audit", "list", "--before", entries[0]["id"], "--json").json
    assert [entry["id"] for entry in older] == [entry["id"] for entry in entries[1:]]


@pytest.fixture
def waiting(world: World) -> Machine:
    """A machine that waits for approval."""
    world.options = world.options.model_copy(update={"enrolment": "manual"})
    world.restart()
    return Machine(world, key=a_key()).power_on()


def test_a_node_is_approved_by_its_fingerprint(bmsctl: Keyboard, world: World, waiting: Machine) -> None:
    """What the machine's screen shows is what `node show` shows, and what is typed, in any case."""
    assert waiting.key is not None
    fingerprint, name = waiting.key.fingerprint, "node-525400000101"

    assert fingerprint in bmsctl("node", "show", name).output
    assert fingerprint in bmsctl("node", "list").output
    assert "ENROLL.FINGERPRINT" in bmsctl("node", "approve", name, "AAAA-BBBB-CCCC").error
    assert "fingerprint" in bmsctl("node", "approve", name).error
    assert bmsctl("node", "approve", name, fingerprint.lower()).output == f"node {name} is available\n"
    assert fingerprint not in bmsctl("node", "list").output
    assert "revoked" in bmsctl("node", "revoke", name).output
    assert f"{fingerprint} (revoked)" in bmsctl("node", "show", name).output
    assert bmsctl("node", "approve", name, fingerprint).output == f"node {name} is available\n"
    board = "smbios:4c4c4544-0000-4000-8000-0000000000aa"
    assert bmsctl("node", "identity", name, board).output == f"node {name} is {board}\n"
    swapped = bmsctl("node", "identity", name, "--mac", f"{waiting.mac}=52:54:00:00:01:FE").output
    assert swapped == f"node {name} is {board}, and boots by 52:54:00:00:01:fe\n"
    assert "--mac OLD=NEW" in bmsctl("node", "identity", name, "--mac", waiting.mac).error


def test_enrolment_tokens(bmsctl: Keyboard, world: World, waiting: Machine) -> None:
    """Made, listed without what makes it one, used by a machine, and revoked."""
    token = bmsctl("enrolment-token", "create", "--rack", "r7", "--machines", "40").output.strip()
    machine = Machine(world, 2, boot_id="b", token=token, key=a_key()).enrol()
    listed = bmsctl("enrolment-token", "list")

    assert "r7" in bmsctl("node", "show", machine.node_id).output
    assert "39" in listed.output
    assert token not in listed.output
    token_id = bmsctl("enrolment-token", "list", "--json").json[0]["id"]
    for wrong in ("none", token_id[:-1]):
        assert bmsctl("enrolment-token", "revoke", wrong).status == 2
    assert bmsctl("enrolment-token", "revoke", token_id).output == f"enrolment token {token_id} revoked\n"


def test_a_node_is_forgotten(bmsctl: Keyboard, waiting: Machine) -> None:
    """By its name, and then there is none."""
    assert bmsctl("node", "delete", "node-525400000101").output == "node node-525400000101 deleted\n"
    assert bmsctl("node", "list", "--json").json == []
    assert bmsctl("node", "delete", "node-525400000101").status == 2
