# SPDX-License-Identifier: Apache-2.0
"""Undoing what a tenant may have changed beside disks, when a node is erased for the next one."""

from __future__ import annotations

from agent.model.efi import FirmwareBoot
from agent.model.leftovers import Leftovers, ResetPlatform
from agent.model.plan import Plan
from agent.model.request import EraseRequest, ForgetBootRequest
from agent.plan.boot import plan_forget_boot


def with_platform_reset(plan: Plan, request: EraseRequest, firmware: FirmwareBoot | None, found: Leftovers) -> Plan:
    """After the disks: boot entries that lead to disks go, which are empty by then; and what else was found."""
    asked = ForgetBootRequest(request_id=request.request_id, node_id=request.node_id)
    forgetting = plan_forget_boot(firmware, asked).steps if firmware is not None else ()
    reset = ResetPlatform(
        boot_next=found.boot_next,
        clear_tpm=bool(found.tpm_owners or found.tpm_kept),
        functions=tuple(sorted(found.functions)),
        notes=found.notes,
    )
    resetting = (reset,) if reset != ResetPlatform() else ()
    return plan.model_copy(update={"steps": (*plan.steps, *forgetting, *resetting)})
