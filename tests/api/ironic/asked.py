# SPDX-License-Identifier: Apache-2.0
"""What Ironic's conductor sends, as it was seen on the wire."""

from __future__ import annotations

import base64
import gzip
import random
from typing import Any

from agent.model.image import ImageRef
from tests.api.ironic.served import UUID

VERSIONS = {"generic_hardware_manager": "1.2"}
ISO = b"\0" * 0x8001 + b"CD001" + random.Random(1).randbytes(50_000)
DRIVE = base64.b64encode(gzip.compress(ISO)).decode()


def image_info(image: ImageRef, **changes: Any) -> dict[str, Any]:
    """Of a whole-disk image."""
    name, value = image.digest
    return {
        "id": "ubuntu.qcow2",
        "urls": [image.url],
        "disk_format": image.format.value,
        "container_format": None,
        "stream_raw_images": True,
        "os_hash_algo": name,
        "os_hash_value": value,
        "node_uuid": UUID,
        "configdrive": DRIVE,
        **changes,
    }


def node(**changes: Any) -> dict[str, Any]:
    """Some of its 64 fields."""
    return {
        "uuid": UUID,
        "driver": "redfish",
        "driver_info": {"redfish_password": "******"},
        "driver_internal_info": {"is_whole_disk_image": True, "agent_secret_token": "******"},
        "instance_info": {"image_source": "http://x", "configdrive": DRIVE},
        "properties": {"cpu_arch": "x86_64", "capabilities": "boot_mode:uefi", "root_device": {"serial": "S0"}},
        "target_raid_config": {},
        **changes,
    }


def write_image(image: ImageRef, **changes: Any) -> dict[str, Any]:
    """The parameters of `deploy.execute_deploy_step`."""
    return {
        "step": {
            "interface": "deploy",
            "step": "write_image",
            "args": {"image_info": image_info(image), "configdrive": DRIVE},
        },
        "node": node(),
        "ports": [{"address": "52:54:00:cf:2d:31", "pxe_enabled": True}],
        "deploy_version": VERSIONS,
        **changes,
    }
