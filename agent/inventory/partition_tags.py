# SPDX-License-Identifier: Apache-2.0
"""By what names people know partitions: the tags of mount(8), as udev has them."""

from __future__ import annotations

from agent.host.doors import Host
from agent.inventory.disk_names import unescaped

TAGS = {
    "UUID": ("ID_FS_UUID",),
    "LABEL": ("ID_FS_LABEL_ENC", "ID_FS_LABEL"),
    "PARTUUID": ("ID_PART_ENTRY_UUID",),
    "PARTLABEL": ("ID_PART_ENTRY_NAME",),
}
"""systemd, rules.d/60-persistent-storage.rules; values have blanks and slashes escaped."""


def partition_tags(host: Host) -> dict[str, dict[str, str]]:
    """By kernel name. Raises `HostError`."""
    return {
        name: {
            tag: unescaped(next(told[key] for key in keys if told.get(key)))
            for tag, keys in TAGS.items()
            if any(told.get(key) for key in keys)
        }
        for name, told in host.udev.block_devices().items()
        if told.get("DEVTYPE") == "partition"
    }


def known_partitions(host: Host) -> frozenset[str] | None:
    """The GUIDs of every partition of every block device, in lower case; `None` where one was not looked at yet, and
    may have any. Raises `HostError`.
    """
    devices = host.udev.block_devices().values()
    if any("USEC_INITIALIZED" not in told for told in devices):
        return None
    return frozenset(told["ID_PART_ENTRY_UUID"].lower() for told in devices if told.get("ID_PART_ENTRY_UUID"))
