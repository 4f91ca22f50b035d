# SPDX-License-Identifier: Apache-2.0
"""Whether the controller works: it can read its records."""

from __future__ import annotations

from fastapi import APIRouter

from agent import __version__
from agent.controller.api.auth import Here
from agent.model.frozen import Frozen

router = APIRouter(tags=["health"])


class Health(Frozen):
    """It works."""

    status: str = "ok"
    version: str = __version__
    nodes: int


@router.get("/healthz")
def get_health(controller: Here) -> Health:
    """Answers 200 if the database does."""
    with controller.read() as tx:
        return Health(nodes=tx.nodes.count())
