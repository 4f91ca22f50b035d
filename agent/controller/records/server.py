# SPDX-License-Identifier: Apache-2.0
"""Servers: what a user ordered, in the cloud's words."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from agent.controller.records.owned import Owned
from agent.model.disk import RootDeviceHints
from agent.model.fault import Fault
from agent.model.flavor import BondMode
from agent.model.frozen import Frozen, Secret
from agent.model.network import DriftPolicy


class ServerStatus(StrEnum):
    """The status a user sees; the legal moves are in `rules/lifecycle.py`."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    REBOOT = "REBOOT"
    HARD_REBOOT = "HARD_REBOOT"
    ERROR = "ERROR"
    DELETED = "DELETED"


class TaskState(StrEnum):
    """What is being done to it right now."""

    BUILDING = "building"
    REBUILDING = "rebuilding"
    REBOOTING = "rebooting"
    REBOOT_STARTED_HARD = "reboot_started_hard"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    DELETING = "deleting"


BootProofKind = Literal["agent", "cloud-init"]


class ServerFault(Fault):
    """A fault with its time, as the user sees it."""

    created: datetime


class PinnedDisk(Frozen):
    """The disk that a server's OS is on: chosen once, named by what does not change."""

    serial: str | None
    wwn: str | None
    by_path: str | None
    size_bytes: int


class PinnedBond(Frozen):
    """The two NICs that a server's primary port is on, chosen once."""

    mode: BondMode
    macs: tuple[str, str]


class Server(Owned):
    """A server. `deploy_id` names the deploy request whose nonce counts; `phone_home` is kept as a digest."""

    id: str
    name: str
    status: ServerStatus
    task_state: TaskState | None = None
    flavor_id: str
    image_id: str
    key_name: str | None = None
    user_data: Secret | None = Field(default=None, description="as the OS gets it, not encoded")
    metadata: dict[str, str] = Field(default_factory=dict)
    root_device: RootDeviceHints | None = Field(default=None, description="the user's own hints")
    disk: PinnedDisk
    bond: PinnedBond | None = None
    drift: DriftPolicy = DriftPolicy.CORRECT
    node_id: str | None
    job_id: str | None = None
    owns_disk: bool = Field(default=False, description="what is on its disk, it wrote itself")
    deploy_id: str | None = None
    phone_home: str | None = None
    boot_proof: BootProofKind | None = None
    machine_id: str | None = None
    fault: ServerFault | None = None
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None = None
    deleted_at: datetime | None = None


class Port(Frozen):
    """A server's attachment to a subnet: one NIC, physical or virtual, and one address."""

    id: str
    server_id: str
    subnet_id: str
    position: int = Field(description="0 is the primary NIC")
    mac: str = Field(description="of the physical NIC in a flat VPC, else one of its own")
    address: str | None = Field(description="None where the subnet's DHCP gives it")
    security_groups: tuple[str, ...] = Field(default=(), description="ids; none for ports of before there were groups")


class Detached(Frozen):
    """A port that is no more, whose address its server has until its node has applied that generation."""

    id: str
    server_id: str
    subnet_id: str
    address: str
    generation: int
