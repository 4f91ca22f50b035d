# SPDX-License-Identifier: Apache-2.0
"""A bundle to the controller: in whose name, and what comes of it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agent.config import Settings
from agent.errors import ControllerRefused, DecodeError, InputError
from agent.host.fake import FakeHost
from agent.link.bundles import admission, upload
from agent.model.bundle import LARGEST_BYTES
from agent.model.network import NetworkConfig
from agent.model.protocol import Admission, ServiceIdentity
from tests.link.answers import answering

IDENTITY = ServiceIdentity(
    controller_url="http://192.0.2.1:8480",
    node_id="n1",
    server_id="s1",
    credential=SecretStr("c1"),
    nonce=SecretStr("b1"),
    network=NetworkConfig(),
)
OF_SERVICE = {"/var/lib/bms-agent/identity.json": IDENTITY.model_dump_json()}
OF_RAMDISK = {
    "/run/bms-agent/session.json": '{"controller_url": "http://192.0.2.2", "node_id": "n2", "credential": "c2"}'
}


def test_in_whose_name() -> None:
    """The ramdisk's is in memory, the service's was on its config drive; a setting says where else."""
    files = FakeHost.with_files(OF_SERVICE | OF_RAMDISK).files
    served, booted = (admission(files, Settings(), is_ramdisk=each) for each in (False, True))
    moved = admission(files, Settings(controller="http://192.0.2.3"), is_ramdisk=False)

    assert (served.node_id, served.controller_url) == ("n1", IDENTITY.controller_url)
    assert (booted.node_id, booted.credential.get_secret_value()) == ("n2", "c2")
    assert (moved.node_id, moved.controller_url) == ("n1", "http://192.0.2.3")


def test_in_nobodys() -> None:
    """A machine that no controller has taken in has none to send it to; a file that makes no sense says so."""
    with pytest.raises(InputError, match="no controller has taken this machine in") as told:
        admission(FakeHost.with_files(OF_SERVICE).files, Settings(), is_ramdisk=True)
    assert "--to" in told.value.hint
    with pytest.raises(DecodeError):
        admission(FakeHost.with_files(dict.fromkeys(OF_SERVICE, "{}")).files, Settings(), is_ramdisk=False)


def test_it_is_sent() -> None:
    """The bytes as they are, as the node; its name is told."""
    with answering((200, '{"name": "x.tar.gz", "size_bytes": 7}')) as server:
        admitted = Admission(controller_url=f"{server.url}/", node_id="n1", credential=SecretStr("c1"))
        taken = upload(admitted, b"\x1f\x8bbytes")

    assert taken.name == "x.tar.gz"
    assert server.asked == [("/v1/agent/bundles", "Bearer c1", b"\x1f\x8bbytes")]


def test_it_is_refused() -> None:
    """What the controller would not take is not sent; what it says is told."""
    with answering((401, '{"fault": {"code": "AGENT.UNAUTHORIZED", "message": "not known"}}')) as server:
        admitted = Admission(controller_url=server.url, node_id="n1", credential=SecretStr("c1"))
        with pytest.raises(InputError, match=str(LARGEST_BYTES + 1)):
            upload(admitted, bytes(LARGEST_BYTES + 1))
        assert server.asked == []
        with pytest.raises(ControllerRefused, match="not known"):
            upload(admitted, b"x")
