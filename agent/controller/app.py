# SPDX-License-Identifier: Apache-2.0
"""The application: all faces together, on one port."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from agent import __version__
from agent.controller.api import (
    access,
    agent,
    approvals,
    boot,
    catalogue,
    docs,
    eips,
    enrolment,
    errors,
    groups,
    health,
    images,
    networks,
    nics,
    nodes,
    servers,
)
from agent.controller.api.auth import caller_of
from agent.controller.api.content import Sending
from agent.controller.api.headers import Headers
from agent.controller.api.limits import BodyLimit
from agent.controller.api.pace import Pace
from agent.controller.context import Controller


def create_app(controller: Controller) -> FastAPI:
    """An ASGI application over this controller."""
    app = FastAPI(title="bms-agent controller", version=__version__, docs_url=None, redoc_url=None)
    app.state.controller = controller
    app.state.sending = Sending()
    errors.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Pace, controller.options.calls_per_s, controller.options.strangers_per_s)
    app.add_middleware(Headers)
    for face in (health.router, docs.router, agent.router, boot.router):
        app.include_router(face)
    for noun in (nodes, catalogue, networks, groups, eips, images, servers, nics, access, enrolment, approvals):
        app.include_router(noun.router, dependencies=[Depends(caller_of)])
    return app
