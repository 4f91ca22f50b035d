# SPDX-License-Identifier: Apache-2.0
"""What was seen of a machine: all that rules may go by. Each fact is known, or unknown and why; `None` is "none"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from agent.job.journal import Job
from agent.job.network_record import Held, Pending
from agent.model.disk import DiskIdentity
from agent.model.efi import FirmwareBoot, PartitionPath
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.hardware.disk import DiskHealth
from agent.model.hardware.sensor import MemoryErrors
from agent.model.inventory import Inventory
from agent.model.ladder import Ladder
from agent.model.lldp import LldpNeighbour
from agent.model.network import IPAddress, NetworkState
from agent.model.protocol import Desired
from agent.model.space import Space
from agent.model.status import Status

Mode = Literal["ramdisk", "service"]
T = TypeVar("T")
NOT_LOOKED_AT = Unknown(unknown="not looked at")


@dataclass(frozen=True)
class Gateway:
    """A default route's gateway: whether it answers on its link at all, small packets, and those of the whole MTU."""

    link: str
    address: IPAddress
    mtu: int
    answers: bool
    carries_small: bool = False
    carries_whole: bool = False


@dataclass(frozen=True)
class NameServer:
    """One of the resolver's."""

    address: IPAddress
    answers: bool


@dataclass(frozen=True)
class Unit:
    """A unit of the agent's that systemd knows."""

    name: str
    state: str
    restarts: int


@dataclass(frozen=True)
class Ending:
    """A process of the agent's that ended otherwise than it should."""

    unit: str
    boot_id: str
    how: str
    at: datetime


@dataclass(frozen=True)
class Complaint:
    """What the kernel says against a disk: how often, and the last time."""

    disk: str
    count: int
    last: str


@dataclass(frozen=True)
class Bootable:
    """What a disk has for firmware to start: EFI system partitions, and code in its first sector."""

    path: str
    system_partitions: tuple[PartitionPath, ...]
    has_boot_code: bool


@dataclass(frozen=True)
class Booting:
    """How the firmware boots, where it is UEFI, and what its disks offer; the disk of this system, if it is on one."""

    firmware: FirmwareBoot | None
    disks: tuple[Bootable, ...]
    root: DiskIdentity | None


class InCharge(NamedTuple):
    """A controller, and whom its certificate is to be signed by: anybody, these authorities, or the system's."""

    url: str
    insecure: bool = False
    ca_pem: str | None = None


@dataclass(frozen=True)
class Place:
    """Which of its uses the agent has on this machine, and who is in charge; or that the network is asked for that."""

    mode: Mode | None = None
    state_dir: str = "/var/lib/bms-agent"
    runtime_dir: str = "/run/bms-agent"
    node_id: str | None = None
    controllers: tuple[InCharge, ...] = ()
    asks_around: bool = False
    fault: Fault | None = None


@dataclass(frozen=True)
class Seen:
    """All of it. What a test leaves out is unknown, and no rule fires for it."""

    now: datetime | Unknown = NOT_LOOKED_AT
    boot_id: str | Unknown = NOT_LOOKED_AT
    is_root: bool | Unknown = NOT_LOOKED_AT
    place: Place | Unknown = NOT_LOOKED_AT
    inventory: Inventory | Unknown = NOT_LOOKED_AT
    network: NetworkState | Unknown = NOT_LOOKED_AT
    jobs: tuple[Job, ...] | Unknown = NOT_LOOKED_AT
    reports: int | Unknown = NOT_LOOKED_AT
    desired: Desired | Unknown | None = NOT_LOOKED_AT
    remembered: tuple[Held | None, Pending | None] | Unknown = NOT_LOOKED_AT
    status: Status | Unknown | None = NOT_LOOKED_AT
    units: tuple[Unit, ...] | Unknown = NOT_LOOKED_AT
    endings: tuple[Ending, ...] | Unknown = NOT_LOOKED_AT
    spaces: Mapping[str, Space] | Unknown = NOT_LOOKED_AT
    gateways: tuple[Gateway, ...] | Unknown = NOT_LOOKED_AT
    name_servers: tuple[NameServer, ...] | Unknown = NOT_LOOKED_AT
    ladders: tuple[Ladder, ...] | Unknown = NOT_LOOKED_AT
    complaints: tuple[Complaint, ...] | Unknown = NOT_LOOKED_AT
    health: Mapping[str, DiskHealth] | Unknown = NOT_LOOKED_AT
    memory_errors: tuple[MemoryErrors, ...] | Unknown = NOT_LOOKED_AT
    disk_states: Mapping[str, str] | Unknown = NOT_LOOKED_AT
    booting: Booting | Unknown = NOT_LOOKED_AT
    neighbours: Mapping[str, LldpNeighbour] | Unknown | None = None

    def unknown(self) -> dict[str, str]:
        """What could not be seen, and why."""
        facts = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        return {name: fact.unknown for name, fact in facts.items() if isinstance(fact, Unknown)}

    @property
    def mode(self) -> Mode | None:
        """None where no agent is at home, or where that is not known."""
        return None if isinstance(self.place, Unknown) else self.place.mode

    @property
    def is_running(self) -> bool | None:
        """Whether the agent runs; None where that is not known."""
        if isinstance(self.units, Unknown) or not self.units:
            return None
        return any(unit.state in ("active", "activating", "reloading") for unit in self.units)


def items(fact: tuple[T, ...] | Unknown) -> tuple[T, ...]:
    """What is known of a list: of an unknown one nothing is."""
    return () if isinstance(fact, Unknown) else fact
