# SPDX-License-Identifier: Apache-2.0
"""The user's face: NICs of servers. A change is told to the node at once; it holds when the node has applied it."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Acting
from agent.controller.flow import nics
from agent.controller.flow.lookup import server_named
from agent.controller.flow.nics import NicAttach, NicChange, NicSettings
from agent.controller.views.nic import NicsView, nics_view

router = APIRouter(prefix="/v1/servers/{key}/nics", tags=["NICs"])


@router.get("")
def get_nics(key: str, controller: Acting) -> NicsView:
    """A server's NICs, and whether its node has applied what they shall be."""
    with controller.read() as tx:
        return nics_view(tx, server_named(tx, key, "listing NICs"))


@router.post("", status_code=202)
def post_nic(key: str, nic: NicAttach, controller: Acting) -> NicChange:
    """Attach one more."""
    return nics.attach(controller, key, nic)


@router.patch("/{port}", status_code=202)
def patch_nic(key: str, port: str, wanted: NicSettings, controller: Acting) -> NicChange:
    """Put it into other security groups."""
    return nics.change(controller, key, port, wanted)


@router.delete("/{port}", status_code=202)
def delete_nic(key: str, port: str, controller: Acting) -> NicChange:
    """Detach one, named by id, MAC or address; its address is free when its node has applied that."""
    return nics.detach(controller, key, port)
