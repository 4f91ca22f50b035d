# SPDX-License-Identifier: Apache-2.0
"""What the controller answers, as far as it is shown. Fields that a newer controller adds are ignored."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.model.disk import Disk
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.frozen import Reply
from agent.model.inventory import Inventory
from agent.model.job import Progress


class Node(Reply):
    """A line of the list of nodes."""

    id: str
    name: str
    state: str
    host_status: str
    maintenance: bool
    clean: bool
    power: str
    mode: str | None
    boot_mac: str
    boot_target: str
    server_id: str | None
    server_name: str | None
    job_id: str | None
    heartbeat_at: datetime | None
    fault: Fault | None


class NodeDetail(Node):
    """Everything about a node."""

    identity: str
    bmc: str | None
    agent_version: str | None
    generation: int
    applied_generation: int
    problems: tuple[Fault, ...]
    held: tuple[str, ...]
    inventory: Inventory | None

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Its disks, as far as they are known."""
        disks = self.inventory.disks if self.inventory else ()
        return () if isinstance(disks, Unknown) else disks


class Flavor(Reply):
    """A flavor."""

    id: str
    name: str
    cpu_arch: str
    cores: int
    ram_mb: int
    disks: int
    disk_gb: int
    disk_media: str | None
    nics: int
    nic_mbps: int | None
    firmware: str | None


class Image(Reply):
    """An image."""

    id: str
    name: str
    format: str
    min_disk_gb: int
    firmware: str
    agent: bool | None
    url: str | None
    sha256: str
    file_bytes: int | None
    size_bytes: int | None


class Vpc(Reply):
    """A VPC."""

    id: str
    name: str
    cidr: str


class Subnet(Reply):
    """A subnet."""

    id: str
    name: str
    vpc_id: str
    cidr: str
    gateway: str
    dns: tuple[str, ...]
    mtu: int | None
    dhcp: bool


class KeyPair(Reply):
    """A key pair."""

    name: str
    public_key: str
    fingerprint: str


class Address(Reply):
    """A server's NIC."""

    subnet: str
    mac: str
    address: str | None
    observed: tuple[str, ...]


class RootDisk(Reply):
    """The disk that its OS is on."""

    serial: str | None
    wwn: str | None
    size_bytes: int


class ServerFault(Reply):
    """What went wrong with a server."""

    code: str
    message: str
    details: str
    hint: str
    created: datetime


class Server(Reply):
    """A server."""

    id: str
    name: str
    status: str
    task_state: str | None
    power_state: int
    host_status: str
    flavor: str
    image: str
    key_name: str | None
    metadata: dict[str, str]
    node_name: str | None
    addresses: tuple[Address, ...]
    root_disk: RootDisk
    boot_proof: str | None
    job_id: str | None
    fault: ServerFault | None
    created: datetime
    launched_at: datetime | None


class Phase(Reply):
    """A line of a job's timeline."""

    name: str
    began_at: datetime
    ended_at: datetime | None


class Job(Reply):
    """A job."""

    job_id: str
    operation: str
    status: str
    entities: dict[str, str]
    begin_time: datetime
    end_time: datetime | None
    fault: Fault | None
    phases: tuple[Phase, ...] = Field(default=())
    progress: Progress | None

    @property
    def over(self) -> bool:
        """Nothing more happens to it."""
        return self.end_time is not None


class Ordered(Reply):
    """A job was begun for a server."""

    job_id: str
    server_id: str
