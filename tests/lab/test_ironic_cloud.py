# SPDX-License-Identifier: Apache-2.0
"""The demo's user of Ironic: what is shown of requests, what is made of images and drives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.command import run
from lab.fault import LabFault
from lab.ironic_api import without_secrets
from lab.ironic_cloud import ADDRESS, config_drive, doing, plain
from lab.network import TENANT_CIDR

MAC = "52:54:00:b0:00:01"


def test_no_secret_is_shown() -> None:
    """Wherever in a body it stands; all else is as it is sent."""
    body: list[Any] = [{"path": "/driver_info", "value": {"redfish_password": "s3cret", "redfish_username": "admin"}}]
    assert without_secrets(body) == [
        {"path": "/driver_info", "value": {"redfish_password": "******", "redfish_username": "admin"}}
    ]
    assert "s3cret" not in json.dumps(without_secrets({"target": "rescue", "rescue_password": "s3cret"}))
    assert without_secrets(None) is None


@pytest.mark.parametrize(
    ("clean", "deploy", "said"),
    [
        ({"interface": "deploy", "step": "erase_devices"}, {}, "wait: deploy.erase_devices"),
        ({}, {"interface": "deploy", "step": "write_image"}, "wait: deploy.write_image"),
        ({}, {}, "wait"),
    ],
)
def test_what_it_is_at(clean: dict[str, str], deploy: dict[str, str], said: str) -> None:
    """State and step, in one line."""
    assert doing({"provision_state": "wait", "clean_step": clean, "deploy_step": deploy}) == said


def test_the_drive_says_who_the_server_is() -> None:
    """Its key, its name, and an address in the subnet that the lab routes, on the NIC of that MAC."""
    drive = config_drive(MAC, "ssh-ed25519 AAAA lab")
    (link,), (network,) = drive["network_data"]["links"], drive["network_data"]["networks"]
    assert drive["meta_data"]["public_keys"] == {"demo": "ssh-ed25519 AAAA lab"}
    assert (link["ethernet_mac_address"], network["link"]) == (MAC, link["id"])
    assert network["ip_address"] == ADDRESS and ADDRESS.rpartition(".")[0] == TENANT_CIDR.rpartition(".")[0]


@pytest.mark.commands
def test_images_that_ironic_knows(tmp_path: Path) -> None:
    """raw and qcow2 as they are; of a chunked one the disk it was made of; anything else is refused."""
    raw, packed, other = tmp_path / "disk.raw", tmp_path / "disk.qcow2", tmp_path / "disk.vmdk"
    raw.write_bytes(b"\1" * 4096)
    for kind, file in (("qcow2", packed), ("vmdk", other)):
        run(["qemu-img", "convert", "-f", "raw", "-O", kind, str(raw), str(file)])

    assert plain(raw) == (raw, "raw")
    assert plain(packed) == (packed, "qcow2")
    assert plain(tmp_path / "disk.bmi") == (raw, "raw")
    with pytest.raises(LabFault, match="it is vmdk"):
        plain(other)
    with pytest.raises(LabFault, match="qcow2 or raw"):
        plain(tmp_path / "elsewhere.bmi")
