# SPDX-License-Identifier: Apache-2.0
"""How the firmware boots: Secure Boot, its entries, their order."""

from __future__ import annotations

from pydantic import Field

from agent.model.fact import Fact, Unknown
from agent.model.frozen import Frozen


class Entry(Frozen):
    """A boot entry."""

    name: str = Field(description="of its variable, such as Boot0001")
    label: str
    path: str = Field(description="as efibootmgr writes it")
    is_active: bool


class FirmwareInFull(Frozen):
    """What UEFI's variables tell. Without UEFI all of it is absent."""

    secure_boot: Fact[bool] = None
    setup_mode: Fact[bool] = Field(default=None, description="without a platform key: anybody may enrol one")
    entries: tuple[Entry, ...] | Unknown = ()
    order: tuple[str, ...] | Unknown = ()
    booted: Fact[str] = Field(default=None, description="the entry that this boot came from")
    next: Fact[str] = Field(default=None, description="for the next boot alone")
