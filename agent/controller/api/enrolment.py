# SPDX-License-Identifier: Apache-2.0
"""The operator's face: enrolment tokens, which approve whoever shows them."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends

from agent.controller.api.auth import Acting, cloud
from agent.controller.flow import admission
from agent.controller.flow.admission import ID_CHARACTERS, PassSpec
from agent.controller.records.node import Pass
from agent.model.frozen import Frozen, Secret

router = APIRouter(prefix="/v1/enrolment-tokens", tags=["nodes"], dependencies=[Depends(cloud)])


class PassView(Frozen):
    """An enrolment token without what makes it one."""

    id: str
    mac: str | None
    rack: str | None
    left: int
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class NewPass(PassView):
    """The one answer that has it."""

    token: Secret


@router.post("", status_code=201)
def post_pass(spec: PassSpec, controller: Acting) -> NewPass:
    """Create one, for the kernel command line: bms.token=TOKEN. It is in this answer, and nowhere else."""
    made, secret = admission.create_pass(controller, spec)
    return NewPass(token=secret, **dict(pass_view(made)))


@router.get("")
def get_passes(controller: Acting) -> tuple[PassView, ...]:
    """Every one, spent ones too."""
    with controller.read() as tx:
        return tuple(pass_view(one) for one in sorted(tx.passes.all(), key=lambda one: one.created_at))


@router.delete("/{pass_id}")
def delete_pass(pass_id: str, controller: Acting) -> PassView:
    """Nobody comes by it any more."""
    return pass_view(admission.revoke_pass(controller, pass_id))


def pass_view(one: Pass) -> PassView:
    """As it may be shown."""
    told = {name: getattr(one, name) for name in PassView.model_fields if name != "id"}
    return PassView(id=one.digest[:ID_CHARACTERS], **told)
