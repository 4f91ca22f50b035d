# SPDX-License-Identifier: Apache-2.0
"""What validation observes of a machine: the whole of it, and again what is measured."""

from __future__ import annotations

from dataclasses import dataclass

from agent.host.doors import Host
from agent.inventory.hardware import take_in_full
from agent.inventory.hardware.sensors import sensors
from agent.model.hardware import Hardware
from agent.model.hardware.sensor import Sensor


@dataclass(frozen=True)
class FullSight:
    """Of this host."""

    host: Host

    def hardware(self) -> Hardware:
        """All of it, with the limits that the inventory has for what hangs."""
        return take_in_full(self.host)

    def sensors(self) -> tuple[Sensor, ...]:
        """As they are now."""
        return sensors(self.host.files)
