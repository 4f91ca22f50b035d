# SPDX-License-Identifier: Apache-2.0
"""Nodes: physical machines as the operator sees them, and the runs of the agent that speak for them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent.model.fault import Fault
from agent.model.frozen import Frozen, Secret
from agent.model.inventory import Inventory
from agent.model.job import Progress
from agent.model.network import NetworkState
from agent.model.protocol import Mode


class NodeState(StrEnum):
    """Where a node stands; the legal moves are in `rules/lifecycle.py`."""

    ENROLL = "enroll"
    AVAILABLE = "available"
    DEPLOYING = "deploying"
    ACTIVE = "active"
    CLEANING = "cleaning"
    ERROR = "error"


class BootTarget(StrEnum):
    """What the machine is told to boot when it asks over the network."""

    RAMDISK = "ramdisk"
    DISK = "disk"


class Power(StrEnum):
    """Whether the machine is switched on, as far as known."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"


class Boot(StrEnum):
    """How the boot of a ramdisk came about, and so what its word is worth."""

    OWN = "own"
    """by itself, or by somebody's hand: whoever knows the machine's MAC and UUID can play it"""
    ORDERED = "ordered"
    """its BMC switched it off and on at our word: what ran on it before runs no more"""
    ATTESTED = "attested"
    """the same, its BMC took the word that it boots from the network, and the first who asked got this boot's token"""


class Bmc(Frozen):
    """How to reach the machine's management controller (Redfish)."""

    address: str = Field(
        pattern=r"^https?://\S+/redfish/v1/Systems/[^/\s]+$",
        description="URL of the Redfish system, such as https://10.0.0.9/redfish/v1/Systems/1",
    )
    username: str
    password: Secret
    verify_tls: bool = True


class Node(Frozen):
    """A machine. `server_id` says whose it is; `clean` that it was erased since anybody last wrote to its disks."""

    id: str
    name: str
    identity: str = Field(description="smbios:<uuid>, or macs:<mac>,<mac> where the UUID is worthless")
    boot_mac: str
    state: NodeState
    maintenance: bool = False
    clean: bool = False
    boot_target: BootTarget = BootTarget.RAMDISK
    boot_order: Boot | None = Field(
        default=None,
        description="its BMC has just switched it on: the first who asks what to boot gets that boot's token",
    )
    asked_at: datetime | None = Field(default=None, description="somebody asked what it boots, and got no token")
    power: Power = Power.UNKNOWN
    bmc: Bmc | None = None
    fault: Fault | None = None
    server_id: str | None = None
    job_id: str | None = None
    session_id: str | None = Field(default=None, description="the newest run of an agent on it")
    fingerprint: str | None = Field(default=None, description="of the key with which its agent signs")
    revoked: bool = Field(default=False, description="whatever speaks for it is not heard")
    rack: str | None = Field(default=None, description="as the enrolment token said by which it came")
    controller_url: str = Field(description="how this machine reaches us")
    generation: int = Field(default=0, description="of its desired state")
    desired_digest: str = Field(default="", description="of what was published under that generation")
    created_at: datetime
    updated_at: datetime


class NodeMac(Frozen):
    """A MAC of a node: what its boot firmware names itself by."""

    mac: str
    node_id: str


class NodeInventory(Frozen):
    """What a node is made of, as its ramdisk told it last; on another shelf, as its server's OS did."""

    node_id: str
    inventory: Inventory
    taken_at: datetime


class AgentSession(Frozen):
    """One run of the agent's process, and what it last said."""

    session_id: str
    node_id: str
    mode: Mode
    boot_id: str
    agent_version: str
    boot: Boot = Boot.OWN
    opened_at: datetime
    seen_at: datetime = Field(description="anything was heard of it")
    heartbeat_at: datetime | None = None
    sequence: int = 0
    applied_generation: int = 0
    network: NetworkState | None = None
    progress: Progress | None = None
    problems: tuple[Fault, ...] = ()


class Token(Frozen):
    """A one-time enrolment token: good for the machine with this MAC, and for the first boot that uses it."""

    digest: str
    mac: str
    expires_at: datetime
    boot_id: str | None = None
    identity: str | None = None
    public_key: str | None = Field(default=None, description="with which it was used")
    boot: Boot = Field(default=Boot.OWN, description="for which it was given")


class Pass(Frozen):
    """An operator's enrolment token: whoever shows it is approved. Each machine uses it up once, however often it boots
    until it expires."""

    digest: str
    mac: str | None = Field(default=None, description="of the one machine that it is for")
    rack: str | None = None
    left: int = Field(description="how many machines may still come by it")
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class Credential(Frozen):
    """Who may speak as which node, in which mode. A service credential belongs to one deploy of one server."""

    digest: str
    node_id: str
    mode: Mode
    request_id: str | None = None
    public_key: str | None = Field(default=None, description="of the only one who may use it; null: nobody has yet")
    signed_by: str | None = Field(default=None, description="the key of the call at hand; not kept")
    session_id: str | None = Field(default=None, description="of the call at hand, if it is signed; not kept")


class Stream(Frozen):
    """How far an agent's outbox has been read."""

    stream_id: str
    node_id: str
    acknowledged: int = 0
