# SPDX-License-Identifier: Apache-2.0
"""Who calls: an agent by its node's credential, a user by the administrator's token."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request

from agent.controller.context import Controller
from agent.controller.keys import digest
from agent.controller.records.node import Credential
from agent.controller.refusal import AgentUnauthorized, Unauthorized


async def controller_of(request: Request) -> Controller:
    """The controller behind this application. (Async, because what need not wait needs no thread.)"""
    controller = request.app.state.controller
    assert isinstance(controller, Controller)
    return controller


Here = Annotated[Controller, Depends(controller_of)]


def bearer(request: Request) -> str:
    """The token of an `Authorization: Bearer` header; empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def agent(request: Request, controller: Here) -> Credential:
    """Raises `AgentUnauthorized`."""
    with controller.read() as tx:
        credential = tx.credentials.get(digest(bearer(request)))
    if credential is None:
        raise AgentUnauthorized("authenticating an agent", "its credential is not known")
    return credential


def service_agent(credential: Annotated[Credential, Depends(agent)]) -> Credential:
    """An agent in an installed OS. Raises `AgentUnauthorized`."""
    if credential.mode != "service":
        raise AgentUnauthorized("authenticating an agent", "a ramdisk's credential proves no boot")
    return credential


Agent = Annotated[Credential, Depends(agent)]
ServiceAgent = Annotated[Credential, Depends(service_agent)]


async def user(request: Request, controller: Here) -> None:
    """Raises `Unauthorized`."""
    if controller.options.insecure_user_api:
        return
    if not hmac.compare_digest(bearer(request).encode(), controller.user_token.encode()):
        raise Unauthorized("authenticating a user", "the token is wrong" if bearer(request) else "there is no token")
