# SPDX-License-Identifier: Apache-2.0
"""The inventory: everything known about a machine at one moment. Observed, never decided upon here."""

from __future__ import annotations

from agent.model.disk import Disk
from agent.model.fact import Unknown
from agent.model.frozen import Frozen
from agent.model.network import Nic
from agent.model.raid import RunningArray
from agent.model.system import Cpu, Memory, System


class Inventory(Frozen):
    """One machine. A probe that fails as a whole leaves `Unknown` with its reason, never an empty list."""

    system: System | Unknown
    cpu: Cpu | Unknown
    memory: Memory | Unknown
    disks: tuple[Disk, ...] | Unknown
    nics: tuple[Nic, ...] | Unknown
    arrays: tuple[RunningArray, ...] | Unknown = ()
