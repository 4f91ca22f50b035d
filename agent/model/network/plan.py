# SPDX-License-Identifier: Apache-2.0
"""A plan for the network: which NICs it stands on, and steps in order. It is data, as every plan."""

from __future__ import annotations

from agent.model.frozen import Frozen
from agent.model.network.step import NetworkStep


class NicMustBe(Frozen):
    """The NIC with this permanent MAC is there, and has this name."""

    mac: str
    name: str


class NetworkPlan(Frozen):
    """Empty where nothing has to change."""

    nics: tuple[NicMustBe, ...] = ()
    steps: tuple[NetworkStep, ...] = ()
