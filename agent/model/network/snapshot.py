# SPDX-License-Identifier: Apache-2.0
"""A network as it was before a change: what a revert brings back. It need not be sound: it was so."""

from __future__ import annotations

from pydantic import Field

from agent.model.frozen import Frozen
from agent.model.network.config import NetworkConfig
from agent.model.network.firewall import Eip, Firewall
from agent.model.network.link import Link
from agent.model.network.persistence import Manager
from agent.model.network.route import Route, Rule


class Snapshot(Frozen):
    """The links that a change touches, and all that stand on them; everything in it is meant exactly."""

    links: tuple[Link, ...] = ()
    leased: tuple[str, ...] = Field(default=(), description="links that had leases: their client must bring them back")
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    sysctls: dict[str, str] = Field(default_factory=dict)
    firewall: Firewall | None = Field(default=None, description="None: it is left alone")
    eips: tuple[Eip, ...] | None = None
    manager: Manager | None = None
    files: dict[str, str | None] = Field(
        default_factory=dict, description="path → text; None for one that was not there"
    )

    @property
    def config(self) -> NetworkConfig:
        """As something to desire."""
        return NetworkConfig.model_construct(
            links=self.links,
            routes=self.routes,
            rules=self.rules,
            firewall=self.firewall,
            eips=self.eips,
        )
