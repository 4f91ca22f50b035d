# SPDX-License-Identifier: Apache-2.0
"""What servers are made of, by order: flavors and key pairs. Networks and images have files of their own."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from agent.model.frozen import Frozen
from agent.model.system import FirmwareMode

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '.', '_', '-'; at most 63")]


BondMode = Literal["802.3ad", "active-backup"]


class Media(StrEnum):
    """What a disk is made of."""

    SSD = "ssd"
    HDD = "hdd"


class FlavorSpec(Frozen):
    """What a node must at least have. What is left out does not matter."""

    name: Name
    cpu_arch: str = "x86_64"
    cores: int = Field(default=1, ge=1, description="physical cores of all sockets, at least")
    ram_mb: int = Field(default=512, ge=1, description="usable memory in MiB, at least")
    disks: int = Field(default=1, ge=1, description="local disks that fit, at least")
    disk_gb: int = Field(default=1, ge=1, description="size of each of them in GB of 10^9 bytes, at least")
    disk_media: Media | None = None
    nics: int = Field(default=1, ge=1, description="NICs that fit, at least")
    nic_mbps: int | None = Field(default=None, ge=1, description="speed of each of them, at least")
    firmware: FirmwareMode | None = None
    bond: BondMode | None = Field(default=None, description="the first two NICs are one, bond0, with the primary port")


class Flavor(FlavorSpec):
    """A flavor as it is kept."""

    id: str
    created_at: datetime


class KeyPairSpec(Frozen):
    """A public key for logging in."""

    name: Name
    public_key: str = Field(max_length=16384)


class KeyPair(Frozen):
    """A key pair as it is kept: the public half alone."""

    name: str
    public_key: str
    fingerprint: str
    created_at: datetime
