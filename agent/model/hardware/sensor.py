# SPDX-License-Identifier: Apache-2.0
"""What is measured, and what is counted: sensors (hwmon), and errors of the memory (EDAC)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.model.fact import Fact, Unknown
from agent.model.frozen import Frozen

Units = Literal["Cel", "RPM", "V", "A", "W", "J", "%"]
"""Redfish's ReadingUnits (UCUM)."""


class Sensor(Frozen):
    """One reading."""

    chip: str
    name: str
    reading: Fact[float] = None
    reading_units: Units
    critical: Fact[float] = Field(default=None, description="beyond this the hardware is in danger, it says")


class RankErrors(Frozen):
    """A module, or a rank of one, as the memory controller names it."""

    name: str
    correctable: int
    uncorrectable: int


class MemoryErrors(Frozen):
    """A memory controller's counts since it was set up."""

    controller: str
    name: str | None = None
    size_mib: int | None = None
    correctable: int
    uncorrectable: int
    modules: tuple[RankErrors, ...] | Unknown = ()
