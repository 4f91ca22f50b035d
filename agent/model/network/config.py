# SPDX-License-Identifier: Apache-2.0
"""The network of a host as it shall be: links, routes, rules, name servers, security groups, EIPs.

What is `None` is not specified and stays as it is; what is empty shall be empty. A link, route or rule that is not
in it is taken away if it was in the configuration before, and left alone otherwise: it is somebody else's.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from agent.model.frozen import Frozen
from agent.model.network.firewall import Eip, Firewall
from agent.model.network.link import Link
from agent.model.network.route import Dns, Route, Rule
from agent.model.network.soundness import faults_of


class DriftPolicy(StrEnum):
    """What is done about a change that nobody ordered."""

    CORRECT = "correct"
    REPORT = "report"


class NetworkConfig(Frozen):
    """All of it. Raises `ValidationError` that names each wrong field."""

    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] | None = None
    rules: tuple[Rule, ...] | None = None
    dns: Dns | None = None
    firewall: Firewall | None = None
    eips: tuple[Eip, ...] | None = None
    drift: DriftPolicy = DriftPolicy.CORRECT
    allow_disconnect: bool = Field(
        default=False, description="this may cut the path to the controller; otherwise that is refused"
    )

    @model_validator(mode="after")
    def is_sound(self) -> NetworkConfig:
        """Every rule that needs more than one field. Raises `ValueError` with all that is wrong."""
        faults = faults_of(self.links, self.routes or (), self.rules or (), self.firewall, self.eips or ())
        if faults:
            raise ValueError("; ".join(faults[:8]))
        return self

    def link(self, name: str) -> Link | None:
        """The link of that name."""
        return next((link for link in self.links if link.name == name), None)
