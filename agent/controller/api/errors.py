# SPDX-License-Identifier: Apache-2.0
"""Every answer that is no success: `{"fault": {code, message, hint, …}}`, with a status that fits.

What was sent is never repeated in it: it may hold a secret.
"""

from __future__ import annotations

import time

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from agent.controller.api.auth import READING, controller_of
from agent.controller.api.buckets import Buckets
from agent.controller.api.misread import misread
from agent.controller.flow.access import remember_refusal
from agent.controller.records.access import Caller
from agent.controller.refusal import Refused
from agent.errors import AgentError, DecodeError, InputError
from agent.model.fault import Fault
from agent.model.protocol import Refusal
from agent.program.log import Logger

REFUSALS_PER_S = 0.1
REFUSALS_BURST_S = 1200.0
DOCS = "GET /docs says what there is."

log = Logger("controller")


def answer(fault: Fault, status: int) -> JSONResponse:
    """The body of every refusal."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(Refusal(fault=fault).model_dump(mode="json"), status, headers=headers)


def install(app: FastAPI) -> None:
    """Have every error answered this way."""
    app.state.refusals = Buckets(REFUSALS_PER_S, burst_s=REFUSALS_BURST_S)
    app.add_exception_handler(AgentError, _agent_error)
    app.add_exception_handler(RequestValidationError, _undecodable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _agent_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AgentError)
    status = error.http_status if isinstance(error, Refused) else 400 if isinstance(error, InputError) else 502
    fault = Fault.of(error)
    await _remember(request, fault.code)
    log.info("refused", method=request.method, path=_route(request), status=status, code=fault.code, why=str(error))
    return answer(fault, status)


async def _remember(request: Request, code: str) -> None:
    """What a user was to change, and did not. Whatever becomes of the word on it, the refusal is the answer. Nothing is
    ever deleted from the trail: whoever is refused without end is in it a few times a minute, and in the log."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or caller.method in READING:
        return
    refusals = request.app.state.refusals
    assert isinstance(refusals, Buckets)
    if not refusals.take(caller.token_id or caller.name, time.monotonic()):
        controller = await controller_of(request)
        try:
            await run_in_threadpool(remember_refusal, controller, caller, controller.clock.now(), code)
        except Exception:  # the database is locked, full or away: what was refused stays refused
            log.exception("a refusal is not in the trail", who=caller.name, method=caller.method, code=code)


def _undecodable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    message = f"reading the request: {misread(error.errors()[:8])}"
    fault = Fault(code=DecodeError.code, message=message, hint=_advice(request))
    log.info("undecodable", method=request.method, path=_route(request), why=fault.message)
    return answer(fault, 422)


def _advice(request: Request) -> str:
    """People mistype; agents do not."""
    return DecodeError.advice if request.url.path.startswith("/v1/agent/") else "Correct what is named, and ask again."


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    fault = Fault(code=f"HTTP.{error.status_code}", message=f"answering {request.method}: {error.detail}", hint=DOCS)
    response = answer(fault, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected error", method=request.method, path=_route(request), exc_info=error)
    fault = Fault(
        code="CONTROLLER.BUG",
        message=f"answering {request.method}: unexpected {type(error).__name__}",
        hint="This is a fault of the controller: report it with its log.",
    )
    return answer(fault, 500)


def _route(request: Request) -> str:
    """The route's pattern, not the path: a path may hold a nonce."""
    route = request.scope.get("route")
    return getattr(route, "path", "unknown path")
