# SPDX-License-Identifier: Apache-2.0
"""Secrets are planted in a node's whole life, and looked for in everything that the agent wrote, ran and said.

The controller's side of it is `tests/controller/test_secrets.py`; a machine with secrets wherever one has ever been
found is `tests/diagnose/test_bundle.py`.
"""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from agent.controller.log import configure
from agent.diagnose.bundle import packed
from agent.host.fake import FakeHost, Machine
from agent.model.call import Call
from agent.program.log import SETTINGS
from tests.apply.disks import MIB, gpt_image
from tests.link.beside import overheard
from tests.test_whole import Cloud, cloud, go_through, ramdisk_settings, server_machine

USER_DATA = "pl4nt3d-in-user-data"
KEEPERS = {
    "/run/bms-agent/session.json": {"credential"},
    "/run/bms-agent/node-key": {"key"},
    "/var/lib/bms-agent/identity.json": {"credential", "nonce"},
    "/var/lib/bms-agent/node-key": {"key"},
    "/run/bms-agent/config-drive/bms-agent/service.json": {"credential", "nonce"},
}
"""What is kept, in folders that are root's alone (`RuntimeDirectoryMode`, `StateDirectoryMode`), because it is needed
again; the last is the fake's mount of the config drive."""
SAID = {"/v1/agent/enroll": {"token"}, "/v1/agent/boot": {"nonce"}}
"""What a call's body is made to say."""


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged, at the loudest."""
    stream = StringIO()
    configure("debug", "text", stream)
    yield stream
    SETTINGS.forgotten()


Heard = list[tuple[Call, bytes, bytes]]


def lived(folder: Path, heard: Heard) -> tuple[Machine, dict[str, set[bytes]]]:
    """A node's life, from enrolment to a wiped one, with user data; and its secrets, in each way that they are told."""
    with cloud(folder, tls=True) as world, overheard(folder, heard) as path:
        made = server_machine()
        made.tree.put(path, b"")
        token = token_of(world)
        go_through(world, made, gpt_image(), path, user_data=base64.b64encode(USER_DATA.encode()).decode())
    by_path = [(call.path, json.loads(body or b"{}"), json.loads(answer)) for call, body, answer in heard]
    keys = [made.tree.entries[path] for path in KEEPERS if path.endswith("node-key") and path in made.tree.entries]
    raw = {
        "token": {token} | {body["token"] for path, body, _ in by_path if path == "/v1/agent/enroll"},
        "credential": {answer["credential"] for path, _, answer in by_path if path == "/v1/agent/enroll"}
        | {json.loads(bytes(made.tree.entries["/var/lib/bms-agent/identity.json"]))["credential"]},  # type: ignore[arg-type]
        "nonce": {body["nonce"] for path, body, _ in by_path if path == "/v1/agent/boot"},
        "user data": {USER_DATA, base64.b64encode(USER_DATA.encode()).decode()},
    }
    secrets = {kind: {one.encode() for one in found} for kind, found in raw.items()}
    secrets["key"] = {form for key in keys if isinstance(key, bytes) for form in forms(key)}
    return made, secrets


def token_of(world: Cloud) -> str:
    """Of a boot of this machine's."""
    token = ramdisk_settings(world).token
    assert token is not None
    return token.get_secret_value()


def forms(key: bytes) -> set[bytes]:
    """As it may be told."""
    return {key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key)}


def told(secrets: dict[str, set[bytes]], text: bytes) -> set[str]:
    """Which kinds are in it."""
    return {kind for kind, found in secrets.items() if any(one in text for one in found)}


def test_no_secret_is_in_what_a_run_wrote(tmp_path: Path, log: StringIO) -> None:
    """Not in its log at its loudest, in no command's arguments, in no file but those that keep it, in no call but the
    one that must say it, and in no bundle; and the key nowhere at all that is not root's."""
    heard: Heard = []
    made, secrets = lived(tmp_path, heard)
    logged = log.getvalue()
    assert all(found and all(len(one) > 8 for one in found) for found in secrets.values())
    assert "enrolled" in logged and "boot proven" in logged

    assert told(secrets, logged.encode()) == set()
    assert told(secrets, repr(made.commands).encode()) == set()
    for call, body, _ in heard:
        assert told(secrets, body) <= SAID.get(call.path, set()), call.path
        assert told(secrets, call.model_dump_json().encode()) <= {"credential"}, call.path
    kept = {path: told(secrets, entry) for path, entry in made.tree.entries.items() if isinstance(entry, bytes)}
    assert {path: kinds for path, kinds in kept.items() if kinds - KEEPERS.get(path, set())} == {}
    archive, _ = packed(FakeHost.of(made), 4 * MIB)
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as tar:
        texts = {member.name: (tar.extractfile(member) or BytesIO()).read() for member in tar}
    assert len(texts) > 5 and {name: found for name, text in texts.items() if (found := told(secrets, text))} == {}
