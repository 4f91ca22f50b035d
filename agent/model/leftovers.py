# SPDX-License-Identifier: Apache-2.0
"""What a tenant may have left beside disks, and the step that undoes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.model.frozen import Frozen


class Leftovers(Frozen):
    """As found."""

    boot_next: bool = False
    tpm_owners: tuple[str, ...] = Field(default=(), description="whose passwords are set: owner, endorsement, lockout")
    tpm_kept: tuple[str, ...] = Field(default=(), description="keys and indices that are not its firmware's")
    functions: dict[str, int] = Field(default_factory=dict, description="virtual functions, by link")
    notes: tuple[str, ...] = Field(default=(), description="what could not be looked at, or not be undone from here")


class ResetPlatform(Frozen):
    """Forget the boot that was ordered, clear the TPM, remove virtual functions; and see that each is so."""

    kind: Literal["reset_platform"] = "reset_platform"
    boot_next: bool = False
    clear_tpm: bool = False
    functions: tuple[str, ...] = Field(default=(), description="links whose virtual functions go")
    notes: tuple[str, ...] = Field(default=(), description="to be told with the result")
