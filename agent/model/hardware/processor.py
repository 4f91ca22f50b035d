# SPDX-License-Identifier: Apache-2.0
"""Processors in full: caches, weaknesses, and who is near to whom."""

from __future__ import annotations

from pydantic import Field

from agent.model.fact import Fact, Unknown
from agent.model.frozen import Frozen
from agent.model.system import Cpu


class Cache(Frozen):
    """All caches of a level and kind; lscpu's words are L1d, L1i, L2, L3."""

    name: str
    count: int = Field(description="how many there are in the machine")
    size_bytes: int = Field(description="of one of them")
    shared_by: int = Field(description="logical processors that have one together")


class Socket(Frozen):
    """A socket with a processor in it (SMBIOS type 4)."""

    name: str | None = None
    model: str | None = None
    cores: int | None = None
    threads: int | None = None
    max_mhz: int | None = None


class Node(Frozen):
    """A NUMA node."""

    number: int
    threads: tuple[int, ...] = Field(description="logical processors by number")
    memory_bytes: int
    distances: tuple[int, ...] = Field(default=(), description="to each node, 10 is its own")


class CpuInFull(Cpu):
    """Processors with all that the kernel tells of them."""

    packages: tuple[Socket, ...] | Unknown = ()
    caches: tuple[Cache, ...] | Unknown = ()
    vulnerabilities: dict[str, str] | Unknown = Field(default_factory=dict, description="and what is done about them")
    min_mhz: Fact[int] = None
    nodes: tuple[Node, ...] | Unknown = ()
    offline: Fact[str] = Field(default=None, description="logical processors that are switched off")
