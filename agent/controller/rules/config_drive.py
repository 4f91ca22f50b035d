# SPDX-License-Identifier: Apache-2.0
"""What is on a server's config drive: OpenStack's files for cloud-init, and our service's identity.

In: records, and the secrets that were derived for this one deploy. Out: texts. Nothing here is random or of today, so
the same deploy always gets the same drive.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from agent.controller.records.catalogue import KeyPair
from agent.controller.records.image import Image
from agent.controller.records.server import Server
from agent.controller.rules.network_data import network_data
from agent.model.config_drive import ConfigDrive
from agent.model.frozen import said
from agent.model.network import NetworkConfig
from agent.model.protocol import ServiceIdentity

ZONE = "bms"
PHONE_HOME_TRIES = 10


@dataclass(frozen=True, repr=False)
class DeploySecrets:
    """Derived for one deploy request. `phone_home` is cloud-init's nonce, apart from the agent's own."""

    credential: str
    nonce: str
    phone_home: str
    random_seed: str


@dataclass(frozen=True)
class Drive:
    """Everything that a config drive tells. `subnets` has the subnet (id) of each port (id).

    `user_data` is of the first deploy alone: a reinstall keeps the key and the addresses, not the commands that were
    meant for the first boot.
    """

    controller_url: str
    agents: tuple[str, str | None]
    """Where our service calls, and the digest of the authority that it goes by there."""
    server: Server
    image: Image
    network: NetworkConfig
    subnets: Mapping[str, str]
    key: KeyPair | None
    user_data: SecretStr | None
    secrets: DeploySecrets


def config_drive(drive: Drive) -> ConfigDrive:
    """The files."""
    files = {
        "openstack/latest/meta_data.json": _json(meta_data(drive)),
        "openstack/latest/network_data.json": _json(
            network_data(drive.network, drive.subnets, vlans=drive.image.agent is not True)
        ),
        "openstack/latest/vendor_data.json": _json(vendor_data(drive)),
        "bms-agent/service.json": _service(drive),
    }
    if drive.user_data is not None:
        files["openstack/latest/user_data"] = drive.user_data.get_secret_value()
    return ConfigDrive.holding(files)


def meta_data(drive: Drive) -> dict[str, Any]:
    """meta_data.json."""
    server, key = drive.server, drive.key
    return {
        "uuid": server.id,
        "name": server.name,
        "hostname": server.name.replace("_", "-"),  # RFC 952 knows no underscore
        "availability_zone": ZONE,
        "launch_index": 0,
        "public_keys": {key.name: key.public_key} if key else {},
        "keys": [{"name": key.name, "type": "ssh", "data": key.public_key}] if key else [],
        "meta": {**server.metadata, "image_name": drive.image.name},
        "random_seed": base64.b64encode(drive.secrets.random_seed.encode()).decode(),  # cloud-init refuses other texts
    }


def vendor_data(drive: Drive) -> dict[str, str]:
    """vendor_data.json: an image in which our service may not be lets cloud-init say that it has booted."""
    if drive.image.agent:
        return {}
    url = f"{drive.controller_url}/v1/agent/phone-home/{drive.secrets.phone_home}"
    config = {"phone_home": {"url": url, "post": ["instance_id", "hostname"], "tries": PHONE_HOME_TRIES}}
    return {"cloud-init": f"#cloud-config\n{json.dumps(config, indent=1)}\n"}  # JSON is YAML


def _service(drive: Drive) -> str:
    """A service of an earlier release, which the image may have, knows not all of it: an authority, for one."""
    return json.dumps(said(service_identity(drive)))


def service_identity(drive: Drive) -> ServiceIdentity:
    """bms-agent/service.json."""
    node_id = drive.server.node_id
    assert node_id is not None, "a server that is deployed has a node"
    return ServiceIdentity(
        controller_url=drive.agents[0],
        ca=drive.agents[1],
        node_id=node_id,
        server_id=drive.server.id,
        credential=SecretStr(drive.secrets.credential),
        nonce=SecretStr(drive.secrets.nonce),
        network=drive.network,
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
