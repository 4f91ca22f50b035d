# SPDX-License-Identifier: Apache-2.0
"""What a machine's firmware shall try first, in Redfish's words (DSP2046, ComputerSystem.Boot)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Enabled(StrEnum):
    DISABLED = "Disabled"
    ONCE = "Once"
    CONTINUOUS = "Continuous"


class Target(StrEnum):
    NONE = "None"
    NETWORK = "Pxe"
    CD = "Cd"
    DISK = "Hdd"


class BootOverride(BaseModel):
    """Overrides the machine's own order, network first, for one start or for every start."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    enabled: Enabled = Field(default=Enabled.DISABLED, alias="BootSourceOverrideEnabled")
    target: Target = Field(default=Target.NONE, alias="BootSourceOverrideTarget")

    @property
    def first(self) -> Target:
        """What comes before the machine's own order."""
        return self.target if self.enabled is not Enabled.DISABLED else Target.NONE

    def after_start(self) -> BootOverride:
        """What is left of it once the machine has started."""
        return BootOverride() if self.enabled is Enabled.ONCE else self

    def changed(self, given: dict[str, object]) -> BootOverride:
        """With the fields of a PATCH. Raises `ValidationError` on what no machine here can do."""
        return BootOverride.model_validate(self.model_dump(by_alias=True) | given)
