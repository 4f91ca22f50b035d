# SPDX-License-Identifier: Apache-2.0
"""What the controller answers about networks, as far as it is shown. Fields that a newer one adds are ignored."""

from __future__ import annotations

from datetime import datetime

from agent.model.fault import Fault
from agent.model.frozen import Reply


class Vpc(Reply):
    """A VPC."""

    id: str
    name: str
    cidr: str
    segment: str = "flat"
    segment_id: int | None = None


class SubnetRoute(Reply):
    """A network behind one of the subnet's hosts."""

    destination: str
    next_hop: str

    def __str__(self) -> str:
        return f"{self.destination}={self.next_hop}"


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
    routes: tuple[SubnetRoute, ...] = ()
    routed: bool = True


class Rule(Reply):
    """A security group's rule."""

    id: str
    direction: str
    version: int
    protocol: str | int | None
    first_port: int | None
    last_port: int | None
    icmp_type: int | None
    icmp_code: int | None
    remote: str | None
    remote_group: str | None

    @property
    def ports(self) -> str | None:
        """Or ICMP's type and code."""
        if self.icmp_type is not None:
            return f"type {self.icmp_type}" + (f", code {self.icmp_code}" if self.icmp_code is not None else "")
        if self.first_port is None:
            return None
        return str(self.first_port) if self.first_port == self.last_port else f"{self.first_port}-{self.last_port}"

    @property
    def whom(self) -> str:
        """The other end."""
        return f"group {self.remote_group}" if self.remote_group else self.remote or "anybody"


class Group(Reply):
    """A security group."""

    id: str
    name: str
    rules: tuple[Rule, ...]
    nics: int


class Eip(Reply):
    """An EIP."""

    id: str
    address: str
    bandwidth_mbps: int
    mode: str
    server_name: str | None
    private: str | None


class Nic(Reply):
    """A server's NIC."""

    port_id: str = ""
    primary: bool = False
    vpc: str = ""
    subnet: str
    mac: str
    address: str | None
    security_groups: tuple[str, ...] = ()
    eip: str | None = None
    applied: bool = False
    observed: tuple[str, ...]


class Nics(Reply):
    """All of a server's, and whether its node has applied what they shall be."""

    generation: int
    applied_generation: int
    heartbeat_at: datetime | None
    problems: tuple[Fault, ...]
    detaching: tuple[str, ...] = ()
    nics: tuple[Nic, ...]


class NicChange(Reply):
    """It holds when the server's node has applied this generation."""

    server_id: str
    port_id: str
    generation: int
