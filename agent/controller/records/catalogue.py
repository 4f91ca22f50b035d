# SPDX-License-Identifier: Apache-2.0
"""What servers are made of, by order: flavors, networks, key pairs. Images are in `records/image.py`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import Field

from agent.model.frozen import Frozen
from agent.model.system import FirmwareMode

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '.', '_', '-'; at most 63")]


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


class Flavor(FlavorSpec):
    """A flavor as it is kept."""

    id: str
    created_at: datetime


class VpcSpec(Frozen):
    """A private network."""

    name: Name
    cidr: IPv4Network = IPv4Network("10.0.0.0/8")


class Vpc(VpcSpec):
    """A VPC as it is kept."""

    id: str
    created_at: datetime


class SubnetSpec(Frozen):
    """A range of a VPC's addresses."""

    name: Name
    vpc: str = Field(description="name or id")
    cidr: IPv4Network
    gateway: IPv4Address | None = Field(default=None, description="left out, it is the first address")
    dns: tuple[IPv4Address, ...] = Field(default=(), max_length=4)
    mtu: int | None = Field(default=None, ge=1280, le=9216)
    dhcp: bool = Field(default=False, description="addresses come from a DHCP server of the network's own")


class Subnet(Frozen):
    """A subnet as it is kept."""

    id: str
    name: str
    vpc_id: str
    cidr: IPv4Network
    gateway: IPv4Address
    dns: tuple[IPv4Address, ...] = ()
    mtu: int | None = None
    dhcp: bool = False
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
