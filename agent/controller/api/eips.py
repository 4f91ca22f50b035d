# SPDX-License-Identifier: Apache-2.0
"""The user's face: EIPs."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from agent.controller.api.auth import Acting, cloud
from agent.controller.flow import eips
from agent.controller.flow.eips import Binding
from agent.controller.flow.nics import NicChange
from agent.controller.records.network import EipChange, EipSpec, ElasticIp
from agent.controller.views.eip import EipView, eip_view

router = APIRouter(prefix="/v1/eips", tags=["EIPs"])
of_cloud = [Depends(cloud)]


@router.post("", status_code=201, dependencies=of_cloud)
def post_eip(spec: EipSpec, controller: Acting) -> EipView:
    """Take a public address into stock."""
    return _shown(controller, eips.create_eip(controller, spec))


@router.get("")
def get_eips(controller: Acting) -> tuple[EipView, ...]:
    """Every EIP."""
    with controller.read() as tx:
        return tuple(eip_view(tx, eip) for eip in sorted(tx.eips.visible(), key=lambda eip: eip.address))


@router.get("/{key}")
def get_eip(key: str, controller: Acting) -> EipView:
    """One EIP, by id or address."""
    with controller.read() as tx:
        return eip_view(tx, eips.eip_named(tx, key, "showing an EIP"))


@router.patch("/{key}", dependencies=of_cloud)
def patch_eip(key: str, wanted: EipChange, controller: Acting) -> EipView:
    """Change its bandwidth."""
    return _shown(controller, eips.change_eip(controller, key, wanted))


@router.delete("/{key}", status_code=204, dependencies=of_cloud)
def delete_eip(key: str, controller: Acting) -> None:
    """Forget an EIP that is bound to nothing."""
    eips.delete_eip(controller, key)


@router.post("/{key}/bind", status_code=202)
def bind_eip(key: str, wanted: Binding, controller: Acting) -> NicChange:
    """Bind it to a server's NIC."""
    return eips.bind(controller, key, wanted)


@router.post("/{key}/unbind", status_code=202)
def unbind_eip(key: str, controller: Acting) -> NicChange:
    """Bind it to nothing."""
    return eips.unbind(controller, key)


def _shown(controller: Acting, eip: ElasticIp) -> EipView:
    with controller.read() as tx:
        return eip_view(tx, eip)
