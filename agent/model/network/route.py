# SPDX-License-Identifier: Apache-2.0
"""Routes, rules that choose among routing tables, and name servers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.model.frozen import Frozen
from agent.model.network.values import DEFAULT_V4, DEFAULT_V6, MAIN_TABLE, IPAddress, IPNetwork, LinkName


class RouteType(StrEnum):
    """linux/rtnetlink.h, RTN_*: what becomes of a packet."""

    UNICAST = "unicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


class Route(Frozen):
    """Where packets to a destination go. Two routes of one table, destination and metric cannot both be."""

    destination: IPNetwork
    link: LinkName | None = Field(default=None, description="None for what goes nowhere")
    gateway: IPAddress | None = None
    table: int = Field(default=MAIN_TABLE, ge=1, le=(1 << 32) - 1)
    metric: int = Field(default=0, ge=0, le=(1 << 32) - 1, description="lower is better; IPv6 makes 1024 of 0")
    source: IPAddress | None = Field(default=None, description="the address that packets of our own bear")
    onlink: bool = Field(default=False, description="the gateway is a neighbour, though no address says so")
    type: RouteType = RouteType.UNICAST

    @property
    def key(self) -> tuple[int, IPNetwork, int]:
        """What there can be only one of. The kernel's default metric for IPv6 is 1024 (IP6_RT_PRIO_USER)."""
        metric = self.metric or (1024 if self.destination.version == 6 else 0)
        return self.table, self.destination, metric

    @property
    def is_default(self) -> bool:
        """To everywhere."""
        return self.destination in (DEFAULT_V4, DEFAULT_V6)


class Rule(Frozen):
    """Which table a packet is looked up in."""

    priority: int = Field(ge=1, le=32765, description="lower is earlier; 0, 32766 and 32767 are the kernel's own")
    table: int = Field(ge=1, le=(1 << 32) - 1)
    version: Literal[4, 6] = 4
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    in_link: LinkName | None = None
    out_link: LinkName | None = None
    mark: int | None = Field(default=None, ge=0, le=(1 << 32) - 1)

    @model_validator(mode="after")
    def of_one_version(self) -> Rule:
        """Raises `ValueError`, naming the field."""
        for name in ("source", "destination"):
            network = getattr(self, name)
            if network is not None and network.version != self.version:
                raise ValueError(f"{name}: {network} is not IPv{self.version}")
        return self


Domain = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$", description="RFC 1035, and '_'")]


class Dns(Frozen):
    """Name servers, best first, and domains to search."""

    servers: tuple[IPAddress, ...] = ()
    search: tuple[Domain, ...] = ()
