# SPDX-License-Identifier: Apache-2.0
"""What the controller answers, as far as it is shown. Fields that a newer controller adds are ignored."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.bmsctl.networks import Nic
from agent.model.disk import GB, Disk
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.flavor import Comparison
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
    revoked: bool = False
    fingerprint: str | None = None
    rack: str | None = None
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
    boot: str | None = None
    attested: bool | None = None
    generation: int
    applied_generation: int
    problems: tuple[Fault, ...]
    held: tuple[str, ...]
    flavors: tuple[str, ...] = ()
    inventory: Inventory | None
    os_inventory: Inventory | None = None
    os_inventory_at: datetime | None = None

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
    bond: str | None = None


class FlavorCheck(Reply):
    """A node held against a flavor."""

    fits: bool
    fields: tuple[Comparison, ...]


class ImportProgress(Reply):
    """How far an import is."""

    doing: str
    done_bytes: int
    total_bytes: int | None

    def __str__(self) -> str:
        whole = f" of {self.total_bytes / GB:.1f}" if self.total_bytes else ""
        return f"{self.doing}: {self.done_bytes / GB:.1f}{whole} GB" if self.done_bytes else self.doing


class Access(Reply):
    """Which credentials an image's servers get; the secrets are stars."""

    bearer: str | None = None
    username: str | None = None
    password: str | None = None
    ca_pem: str | None = None
    proxy: str | None = None

    def __str__(self) -> str:
        words = {
            "bearer": self.bearer,
            "user": self.username,
            "password": self.password,
            "own authorities": "yes" if self.ca_pem else None,
            "proxy": self.proxy,
        }
        return ", ".join(f"{name} {value}" for name, value in words.items() if value)


class Image(Reply):
    """An image."""

    id: str
    name: str
    status: str = "active"
    format: str
    min_disk_gb: int
    firmware: str
    sector_bytes: int | None = None
    agent: bool | None
    url: str | None
    mirrors: tuple[str, ...] = ()
    access: Access = Access()
    sha256: str | None
    sha512: str | None = None
    checksums: str | None = None
    file_bytes: int | None
    size_bytes: int | None
    progress: ImportProgress | None = None
    fault: Fault | None = None

    @property
    def digest(self) -> str | None:
        """What it is checked against."""
        named = {"sha256": self.sha256, "sha512": self.sha512, "by": self.checksums}
        return next((f"{name} {value}" for name, value in named.items() if value), None)


class KeyPair(Reply):
    """A key pair."""

    name: str
    public_key: str
    fingerprint: str


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
    addresses: tuple[Nic, ...]
    drift: str = "correct"
    root_disk: RootDisk
    boot_proof: str | None
    job_id: str | None
    progress: Progress | None = None
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


class Bundle(Reply):
    """Logs that a node sent."""

    name: str
    taken_at: datetime
    size_bytes: int


class Whoami(Reply):
    """Whoever has the token."""

    name: str
    role: str
    project: str | None

    @property
    def whereabouts(self) -> str:
        """In words."""
        return f"project {self.project}" if self.project else "the whole cloud"


class User(Whoami):
    """A user."""


class Token(Reply):
    """A token, without what makes it one."""

    id: str
    user: str
    role: str
    note: str
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


class NewToken(Token):
    """With it."""

    token: str


class Audited(Reply):
    """An entry of the audit trail."""

    id: str
    at: datetime
    who: str
    role: str
    project: str | None
    address: str
    method: str
    path: str
    subject: str | None
    refused: str | None


class EnrolmentToken(Reply):
    """An enrolment token, without what makes it one."""

    id: str
    mac: str | None
    rack: str | None
    left: int
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None


class NewEnrolmentToken(EnrolmentToken):
    """With it."""

    token: str
