# SPDX-License-Identifier: Apache-2.0
"""The second person's face: orders that destroy data, where the policy is that nobody gives them alone."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Acting
from agent.controller.flow import approval, operate, supervise
from agent.controller.records.approval import Approval, Decision, Destructive
from agent.model.frozen import Frozen

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])


class Given(Frozen):
    """The order was given."""

    job_id: str
    approval: Approval


@router.get("")
def get_approvals(controller: Acting) -> tuple[Approval, ...]:
    """What waits for a second person."""
    with controller.read() as tx:
        return approval.waiting(tx, controller.clock.now())


@router.post("/{approval_id}/approve", status_code=202)
def approve_order(approval_id: str, controller: Acting) -> Given:
    """Give the order that somebody else asked for."""
    acting, one = approval.decide(controller, approval_id, Decision.APPROVED)
    match one.order:
        case Destructive.DELETE:
            job = operate.delete(acting, one.subject_id)
        case Destructive.REINSTALL:
            job = operate.reinstall(acting, one.subject_id, verify=one.verify)
        case Destructive.CLEAN:
            job = supervise.clean(acting, one.subject_id)
    return Given(job_id=job.id, approval=one)


@router.post("/{approval_id}/refuse")
def refuse_order(approval_id: str, controller: Acting) -> Approval:
    """It is not given. Whoever asked for it may say so, too."""
    return approval.decide(controller, approval_id, Decision.REFUSED)[1]
