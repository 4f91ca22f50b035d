# SPDX-License-Identifier: Apache-2.0
"""What servers are made of, by order: flavors and key pairs. Networks and images have files of their own."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.controller.records.owned import Name, Owned
from agent.model.bounds import MOST
from agent.model.flavor import Needs
from agent.model.frozen import Frozen


class FlavorSpec(Needs):
    """A flavor to be made: what a node must at least have."""

    name: Name
    cores: int = Field(default=1, ge=1, le=MOST, description="physical cores of all sockets, at least")
    ram_mb: int = Field(default=512, ge=1, le=MOST, description="usable memory in MiB, at least")
    disks: int = Field(default=1, ge=1, le=MOST, description="local disks that fit, at least")
    disk_gb: int = Field(default=1, ge=1, le=MOST, description="size of each of them in GB of 10^9 bytes, at least")
    nics: int = Field(default=1, ge=1, le=MOST, description="NICs that fit, at least")
    nic_mbps: int | None = Field(default=None, ge=1, le=MOST, description="speed of each of them, at least")


class Flavor(Needs):
    """A flavor as it is kept."""

    name: Name
    id: str
    created_at: datetime


class KeyPairSpec(Frozen):
    """A public key for logging in."""

    name: Name
    public_key: str = Field(max_length=16384)


class KeyPair(Owned):
    """A key pair as it is kept: the public half alone."""

    name: str
    public_key: str
    fingerprint: str
    created_at: datetime
