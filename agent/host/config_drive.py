# SPDX-License-Identifier: Apache-2.0
"""Reading the config drive of this machine: the partition labelled `config-2`, mounted read-only for the moment."""

from __future__ import annotations

from agent.errors import HostError
from agent.host.doors import Host
from agent.model.config_drive import LABEL

MOUNT_POINT = "/run/bms-agent/config-drive"


def read_config_drive(host: Host, name: str) -> bytes | None:
    """The file `name` of the drive; `None` if there is no drive or no such file.

    Raises `HostError` if there are several drives: one of them is of another server's disk.
    """
    drives = [
        f"/dev/{kernel_name}"
        for kernel_name, properties in host.udev.block_devices().items()
        if properties.get("ID_FS_LABEL", "").lower() == LABEL
    ]
    if not drives:
        return None
    if len(drives) > 1:
        raise HostError("finding the config drive", f"several disks have one: {', '.join(sorted(drives))}")
    host.files.write(f"{MOUNT_POINT}/.keep", b"")
    host.run(["mount", "-o", "ro,nosuid,nodev,noexec", drives[0], MOUNT_POINT])
    try:
        path = f"{MOUNT_POINT}/{name}"
        return host.files.read_bytes(path) if host.files.exists(path) else None
    finally:
        host.run(["umount", MOUNT_POINT])
