# SPDX-License-Identifier: Apache-2.0
"""Security groups and elastic IPs of a host.

A group is a set of rules that allow; what none allows is dropped. Groups are stateful: answers to what was allowed are
allowed. A link in several groups is allowed what any of them allows; one in no group is not filtered.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from pydantic import Field, model_validator

from agent.model.frozen import Frozen
from agent.model.network.values import IPAddress, IPNetwork, LinkName, Networkv4

GROUP_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"


class Direction(StrEnum):
    """As seen from the server."""

    IN = "in"
    OUT = "out"


class SecurityRule(Frozen):
    """What is allowed. Nothing given is "all of it"."""

    direction: Direction
    version: Literal[4, 6] = Field(default=4, description="of IP")
    protocol: Literal["tcp", "udp", "icmp"] | int | None = Field(
        default=None, description="by name, or by IANA's number; icmp is ICMPv6 where version is 6"
    )
    first_port: int | None = Field(default=None, ge=1, le=65535, description="of tcp and udp: the server's end for in")
    last_port: int | None = Field(default=None, ge=1, le=65535)
    icmp_type: int | None = Field(default=None, ge=0, le=255)
    icmp_code: int | None = Field(default=None, ge=0, le=255)
    remote: IPNetwork | None = None
    remote_group: str | None = Field(default=None, pattern=GROUP_PATTERN, description="id; or a remote, not both")

    @model_validator(mode="after")
    def makes_sense(self) -> SecurityRule:
        """Ports belong to protocols that have them, and so on. Raises `ValueError`, naming the field."""
        if isinstance(self.protocol, int) and not 0 <= self.protocol <= 255:
            raise ValueError("protocol: a number of 0 to 255")
        if (self.first_port is None) != (self.last_port is None):
            raise ValueError("first_port and last_port: both or none")
        if self.first_port is not None and self.last_port is not None and self.first_port > self.last_port:
            raise ValueError("last_port: lower than first_port")
        if self.first_port is not None and self.protocol not in ("tcp", "udp"):
            raise ValueError("first_port: only tcp and udp have ports")
        if self.icmp_type is not None and self.protocol != "icmp":
            raise ValueError("icmp_type: only icmp has types")
        if self.icmp_code is not None and self.icmp_type is None:
            raise ValueError("icmp_code: needs an icmp_type")
        if self.remote is not None and self.remote_group is not None:
            raise ValueError("remote and remote_group: one or none")
        if self.remote is not None and self.remote.version != self.version:
            raise ValueError(f"remote: {self.remote} is not IPv{self.version}")
        return self


class SecurityGroup(Frozen):
    """A group and its rules."""

    id: str = Field(pattern=GROUP_PATTERN)
    name: str = ""
    rules: tuple[SecurityRule, ...] = ()


class Firewall(Frozen):
    """Every group that a link of this host is in, and the members of every group that their rules refer to."""

    groups: tuple[SecurityGroup, ...] = ()
    links: dict[LinkName, tuple[str, ...]] = Field(default_factory=dict, description="link → ids of its groups")
    members: dict[str, tuple[IPAddress, ...]] = Field(
        default_factory=dict, description="id of a group → addresses of its members, anywhere in the VPC"
    )

    @property
    def digest(self) -> str:
        """What it is known by once it is loaded (hexadecimal)."""
        content, digest = self.digested
        is_of_this = all(one is other for one, other in zip(content, self.content, strict=True))
        return digest if is_of_this else sha256_of(self)

    @property
    def content(self) -> tuple[object, ...]:
        """All of it."""
        return self.groups, self.links, self.members

    @cached_property
    def digested(self) -> tuple[tuple[object, ...], str]:
        """What was digested, and to what: 30 ms where there are 10,000 rules. A copy with other content has it, too."""
        return self.content, sha256_of(self)

    @model_validator(mode="after")
    def refers_to_what_is_there(self) -> Firewall:
        """Raises `ValueError`, naming the field."""
        ids = [group.id for group in self.groups]
        if len(set(ids)) < len(ids):
            raise ValueError("groups: two have one id")
        for link, groups in self.links.items():
            if missing := sorted(set(groups) - set(ids)):
                raise ValueError(f"links.{link}: there is no group {missing[0]}")
        for group in self.groups:
            for place, rule in enumerate(group.rules):
                if rule.remote_group is not None and rule.remote_group not in self.members:
                    raise ValueError(
                        f"groups.{group.id}.rules.{place}.remote_group: {rule.remote_group} has no members"
                    )
        return self


def sha256_of(firewall: Firewall) -> str:
    """Of its JSON."""
    return sha256(firewall.model_dump_json().encode()).hexdigest()


class EipMode(StrEnum):
    """Who translates: the cloud's gateway (nothing but the way back is this host's business), or this host."""

    GATEWAY = "gateway"
    HOST = "host"


INSIDE = tuple(
    IPv4Network(one)
    for one in ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4")
)
"""Addresses that no Internet has: private (RFC 1918), shared (RFC 6598), link-local and multicast ones."""


class Eip(Frozen):
    """A public address, bound to one private address of one link. Its traffic leaves by that link."""

    address: IPv4Address
    private: IPv4Address
    link: LinkName
    mode: EipMode = EipMode.GATEWAY
    exempt: tuple[Networkv4, ...] = Field(
        default=INSIDE, description="networks that see the private address, where the host translates"
    )


def eips_digest(eips: tuple[Eip, ...]) -> str:
    """What they are known by once they are loaded (hexadecimal)."""
    return sha256("\n".join(sorted(eip.model_dump_json() for eip in eips)).encode()).hexdigest()
