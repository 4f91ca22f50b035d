# SPDX-License-Identifier: Apache-2.0
"""Who calls: an agent by its node's credential, a user by a token.

Whoever reads needs the role viewer; whoever does anything else, operator; users, tokens and the audit trail are for
admins. Nodes, flavors and the stock of public addresses are the whole cloud's: no project's user changes them. What a
user of a project sees and changes beyond that, the flows decide: the controller that they are given knows its caller.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
from dataclasses import replace
from ipaddress import ip_address
from itertools import count
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from agent.controller.api.limits import UPLOAD_PATHS
from agent.controller.api.text import must_be_text
from agent.controller.context import Controller
from agent.controller.flow import access
from agent.controller.flow.access import Known, user_of
from agent.controller.flow.certify import Purpose
from agent.controller.flow.identity import Call, known_agent
from agent.controller.options import host_of
from agent.controller.peer import AUTHENTICATED, PEER
from agent.controller.records.access import Caller, Role
from agent.controller.records.node import Credential
from agent.controller.records.owned import NAME
from agent.controller.refusal import AgentUnauthorized, BadParameter, Forbidden, Unauthorized

ADMINISTRATOR = Known(name=access.ADMINISTRATOR, role=Role.ADMIN, project=None)
ANYBODY = Known(name=access.ANYBODY, role=Role.ADMIN, project=None)
PROJECT_HEADER = "x-bms-project"
CALLS = count()
READING = frozenset({"GET", "HEAD"})


async def controller_of(request: Request) -> Controller:
    """The controller behind this application. (Async, because what need not wait needs no thread.)"""
    controller = request.app.state.controller
    assert isinstance(controller, Controller)
    return controller


Here = Annotated[Controller, Depends(controller_of)]


def bearer(request: Request) -> str:
    """The token that was sent; empty if there is none."""
    return token_in(request.headers.get("authorization", ""))


def token_in(authorization: str) -> str:
    """Of such a header, whichever of the ways there are to write it."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def call_of(request: Request) -> Call:
    """The call as it was signed, if it was."""
    query = request.scope["query_string"].decode("latin-1")
    streams = request.scope["path"] in UPLOAD_PATHS  # it has no bound, and whoever sends it is not known yet
    body = b"" if streams else await request.body()
    must_be_text(body)
    return Call(
        method=request.method,
        target=request.scope["path"] + (f"?{query}" if query else ""),
        headers=request.headers,
        credential=bearer(request),
        body_sha256=None if streams else hashlib.sha256(body).hexdigest(),
        certificate=request.scope.get(PEER),
        secured=request.scope["scheme"] == "https",
    )


ThisCall = Annotated[Call, Depends(call_of)]


async def agent(request: Request, call: ThisCall, controller: Here) -> Credential:
    """By its node's certificate, where there are any. Raises `AgentUnauthorized`, `CertificateRefused`."""
    return await _known(request, call, controller, "calling")


async def renewing_agent(request: Request, call: ThisCall, controller: Here) -> Credential:
    """One that may have no certificate yet, or one that has ended. Raises `AgentUnauthorized`."""
    return await _known(request, call, controller, "renewing")


async def service_agent(request: Request, call: ThisCall, controller: Here) -> Credential:
    """An agent in an installed OS, whose key may not be known yet. Raises `AgentUnauthorized`, `CertificateRefused`."""
    credential = await _known(request, call, controller, "proving")
    if credential.mode != "service":
        raise AgentUnauthorized("authenticating an agent", "a ramdisk's credential proves no boot")
    return credential


async def _known(request: Request, call: Call, controller: Controller, what: Purpose) -> Credential:
    credential = await run_in_threadpool(known_agent, controller, call, what)
    request.scope[AUTHENTICATED] = True
    return credential


Agent = Annotated[Credential, Depends(agent)]
RenewingAgent = Annotated[Credential, Depends(renewing_agent)]
ServiceAgent = Annotated[Credential, Depends(service_agent)]


async def caller_of(request: Request, controller: Here) -> Caller:
    """The user who calls. Raises `Unauthorized`, `Forbidden`."""
    token = bearer(request)
    if controller.options.insecure_user_api:
        must_be_no_page(request, controller)
        known = ANYBODY
    elif not token:
        raise Unauthorized("authenticating a user", "there is no token")
    elif hmac.compare_digest(token.encode(), controller.user_token.encode()):
        known = ADMINISTRATOR
    else:
        known = await run_in_threadpool(user_of, controller, token)
    request.scope[AUTHENTICATED] = known is not ANYBODY
    caller = Caller(
        name=known.name,
        role=known.role,
        project=_project(request, known),
        of_cloud=known.project is None,
        token_id=known.token_id,
        address=request.client.host if request.client else "",
        call_id=_call_id(controller),
        method=request.method,
        path=request.url.path,
        subject=await _subject(request),
    )
    request.state.caller = caller
    needed = Role.VIEWER if request.method in READING else Role.OPERATOR
    _must_cover(caller, needed)
    return caller


User = Annotated[Caller, Depends(caller_of)]


def must_be_no_page(request: Request, controller: Controller) -> None:
    """Where no token is asked for, a page in somebody's browser could call as they do: by a form or a script, of which
    browsers tell, or under a name of its own that it lets lead to us. Raises `Forbidden`."""
    site = request.headers.get("sec-fetch-site", "none")
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    names = {"localhost", socket.gethostname().lower(), host_of(controller.options.url or "").strip("[]")}
    if "origin" in request.headers or site != "none" or not (host in names or is_address(host)):
        why = "without a token, a page in a browser calls, or somebody by a name that is not ours (--url)"
        raise Forbidden(f"answering {request.method} {request.url.path}", why)


def is_address(host: str) -> bool:
    """It is no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def acting(controller: Here, caller: User) -> Controller:
    """The controller, in the name of whoever calls."""
    return replace(controller, caller=caller)


Acting = Annotated[Controller, Depends(acting)]


async def cloud(caller: User) -> None:
    """What belongs to no project. Raises `Forbidden`."""
    if not caller.of_cloud:
        raise Forbidden(doing(caller), f"it is the whole cloud's, and {caller.name} is of project {caller.project}")


async def admin(caller: User) -> None:
    """Raises `Forbidden`."""
    _must_cover(caller, Role.ADMIN)


def doing(caller: Caller) -> str:
    """In the words of an error."""
    return f"answering {caller.method} {caller.path}"


def _call_id(controller: Controller) -> str:
    """Sorts by time; within a millisecond, by the order in which this process was called."""
    milliseconds = int(controller.clock.now().timestamp() * 1000)
    return f"{milliseconds:012x}-{next(CALLS) & 0xFFFFFF:06x}-{secrets.token_hex(4)}"


def _must_cover(caller: Caller, needed: Role) -> None:
    if not caller.role.covers(needed):
        raise Forbidden(doing(caller), f"it takes the role {needed.value}, and {caller.name} is {caller.role.value}")


def _project(request: Request, known: Known) -> str | None:
    """Of the user; whoever is of the whole cloud may act as one of a project. Raises `BadParameter`, `Forbidden`."""
    wanted = request.headers.get(PROJECT_HEADER)
    if wanted is None:
        return known.project
    if not NAME.fullmatch(wanted):
        raise BadParameter("choosing a project", f"{PROJECT_HEADER} is not a name")
    if known.project not in (None, wanted):
        raise Forbidden("choosing a project", f"{known.name} is of project {known.project}")
    return wanted


async def _subject(request: Request) -> str | None:
    """The name in what was sent. Routes without a body model have not read it before: it may be anything."""
    named = request.query_params.get("name")
    if "json" in request.headers.get("content-type", "") and request.scope["path"] not in UPLOAD_PATHS:
        must_be_text(content := await request.body())
        try:
            body = await request.json() if content else None
        except (ValueError, RecursionError):
            body = None  # what is no JSON names nothing
        named = body.get("name", named) if isinstance(body, dict) else named
    return named if isinstance(named, str) and NAME.fullmatch(named) else None
