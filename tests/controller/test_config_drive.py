# SPDX-License-Identifier: Apache-2.0
"""The config drive and the scripts, as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.controller.records.catalogue import KeyPair
from agent.controller.records.image import Image
from agent.controller.records.network import Segment
from agent.controller.records.server import PinnedBond, PinnedDisk, Server, ServerStatus
from agent.controller.refusal import BadKey
from agent.controller.rules import ipxe
from agent.controller.rules.config_drive import DeploySecrets, Drive, config_drive
from agent.controller.rules.keypair import fingerprint
from agent.controller.rules.network import network_config
from agent.controller.rules.wiring import Wiring
from agent.model.image import ImageFormat
from tests.controller.wires import attached, subnet, vpc
from tests.controller.world import KEY

HERE = Path(__file__).parent
NOW = datetime(2026, 5, 1, tzinfo=UTC)


CLOUD = vpc()
FRONT = attached(0, CLOUD, subnet("front", "10.1.0.0/24", mtu=1450), "10.1.0.2")
PLAIN = Wiring(
    ports=(
        FRONT,
        attached(1, CLOUD, subnet("back", "10.2.0.0/22"), "10.2.0.9"),
        attached(2, CLOUD, subnet("wild", "10.4.0.0/24", dhcp=True), None),
    )
)
BONDED = Wiring(
    ports=(FRONT, attached(1, vpc(2, Segment.VLAN, 2315), subnet("tagged", "10.2.0.0/22"), "10.2.0.9")),
    bond=PinnedBond(mode="802.3ad", macs=(FRONT.port.mac, "52:54:00:00:09:01")),
)


def drive(*, agent: bool | None = True, wiring: Wiring = PLAIN) -> Drive:
    """A server with three NICs, of which one is by DHCP; or with this wiring."""
    return Drive(
        controller_url="http://controller:8480",
        agents=("http://controller:8480", None),
        server=Server(
            id="11111111-2222-3333-4444-555555555555",
            name="web_1",
            status=ServerStatus.BUILD,
            flavor_id="f",
            image_id="i",
            metadata={"role": "front"},
            disk=PinnedDisk(serial="S1", wwn=None, by_path=None, size_bytes=1),
            node_id="n",
            created_at=NOW,
            updated_at=NOW,
        ),
        image=Image(
            id="i", name="debian", format=ImageFormat.RAW, sha256="ab" * 32, agent=agent, url=None, created_at=NOW
        ),
        network=network_config(wiring),
        subnets={one.port.id: one.subnet.id for one in wiring.ports},
        key=KeyPair(name="me", public_key=KEY, fingerprint="f", created_at=NOW),
        user_data=SecretStr("#cloud-config\n"),
        secrets=DeploySecrets(credential="CREDENTIAL", nonce="NONCE", phone_home="HOME", random_seed="SEED"),
    )


@pytest.mark.parametrize(
    ("name", "agent", "wiring"), [("ours", True, PLAIN), ("foreign", None, PLAIN), ("bonded", None, BONDED)]
)
def test_the_drive(name: str, agent: bool | None, wiring: Wiring, golden: Callable[[Path, str], None]) -> None:
    """Every file as cloud-init and our service read it; a foreign image is asked to phone home."""
    files = config_drive(drive(agent=agent, wiring=wiring)).files
    text = "".join(f"=== {path}\n{files[path].get_secret_value()}\n" for path in sorted(files))

    golden(HERE / f"drive-{name}.txt", text)


def test_the_drive_is_the_same_each_time() -> None:
    """Composed again, byte for byte: a request that is served again must be the same request."""
    assert config_drive(drive()).model_dump_json() == config_drive(drive()).model_dump_json()


def test_secrets_do_not_print() -> None:
    """Neither the drive nor what it is made of shows a secret when it is logged by accident."""
    shown = repr(config_drive(drive())) + repr(drive()) + str(drive().secrets)

    assert not any(secret in shown for secret in ("CREDENTIAL", "NONCE", "HOME", "SEED", "cloud-config"))


def test_the_scripts(golden: Callable[[Path, str], None]) -> None:
    """Into the ramdisk and to the disk, as the firmware reads them."""
    ramdisk = ipxe.ramdisk("http://controller:8480", "52:54:00:00:01:01", "TOKEN", "console=ttyS1 bms.shell")

    golden(HERE / "ipxe.txt", f"{ramdisk}\n--------\n{ipxe.local_disk('52:54:00:00:01:01')}")


def test_a_fingerprint_is_opensshs() -> None:
    """The one that `ssh-keygen -l` prints, whatever the comment is."""
    assert fingerprint(KEY) == fingerprint(f"  {' '.join(KEY.split()[:2])} another comment\n")
    assert fingerprint(KEY) == "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 not-base64!",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        "command=/bin/sh ssh-ed25519 AAAA",
        "ssh-dss AAAAB3NzaC1kc3MAAAA",
        f"{KEY}\n{KEY}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_public_key(text: str) -> None:
    """Options, several keys, private keys, weak or mismatched types are refused with the cloud's code."""
    with pytest.raises(BadKey) as refused:
        fingerprint(text)

    assert refused.value.code == "BMS.0211"
