# SPDX-License-Identifier: Apache-2.0
"""The partitions that a partition image is deployed with: the image is a root filesystem, and no disk.

Sizes in MiB, as OpenStack Ironic gives them; names and order are ironic-python-agent's (`partition_utils.py`,
`disk_utils.make_partitions`), so that a disk which either of the two has made is known to the other.
"""

from __future__ import annotations

from typing import Literal, Self
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field, model_validator

from agent.model.frozen import Frozen

ESP, EPHEMERAL, SWAP, ROOT = "efi-part", "ephemeral0", "swap1", "root"
"""Names of partitions, and labels of the filesystems that are made here."""
EphemeralFormat = Literal["ext4", "ext3", "ext2"]
"""What the ramdisk has the tools for."""
LARGEST_MIB = 1 << 30


class Layout(Frozen):
    """A GPT with an EFI system partition, perhaps an ephemeral partition, swap and a config drive, and root, which is
    the last so that it can grow.
    """

    esp_mib: int = Field(default=550, ge=32, le=LARGEST_MIB, description="of the EFI system partition")
    root_mib: int = Field(gt=0, le=LARGEST_MIB)
    swap_mib: int = Field(default=0, ge=0, le=LARGEST_MIB)
    ephemeral_mib: int = Field(default=0, ge=0, le=LARGEST_MIB)
    ephemeral_format: EphemeralFormat = "ext4"
    preserve_ephemeral: bool = Field(
        default=False, description="the ephemeral partition is there already, and keeps every byte"
    )

    @model_validator(mode="after")
    def _preserves_something(self) -> Self:
        if self.preserve_ephemeral and not self.ephemeral_mib:
            raise ValueError("preserve_ephemeral without an ephemeral partition preserves nothing")
        return self


def guid_of(*words: str) -> str:
    """The same for the same words: nothing here is random, so what is begun anew is made with the same names."""
    return str(uuid5(NAMESPACE_OID, "\0".join(words)))
