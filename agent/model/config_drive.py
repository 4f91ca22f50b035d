# SPDX-License-Identifier: Apache-2.0
"""The config drive: a small vfat partition labelled `config-2` at the END of the disk, so that root can grow.

Layout of its tree: OpenStack's config drive (docs.openstack.org/nova, "metadata"), plus `bms-agent/service.json`,
which tells our service in the installed OS whose it is.
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from agent.model.disk import MIB
from agent.model.frozen import Frozen, Secret

LABEL = "config-2"
SIZE_BYTES = 64 * MIB


class ConfigDrive(Frozen):
    """The files, path to text. They may hold passwords and credentials, so they are secrets as a whole."""

    files: dict[str, Secret] = Field(max_length=32)

    @classmethod
    def holding(cls, files: dict[str, str]) -> ConfigDrive:
        """From plain texts."""
        return cls(files={path: SecretStr(text) for path, text in files.items()})


def offset_bytes(disk_bytes: int) -> int:
    """Where the config drive begins on a disk of that size: the last MiB boundary that leaves room for it and the GPT.

    One MiB is left for the backup GPT whatever the sector size is (33 sectors of 4 KiB are 132 KiB).
    """
    return (disk_bytes - MIB - SIZE_BYTES) // MIB * MIB
