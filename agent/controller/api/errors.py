# SPDX-License-Identifier: Apache-2.0
"""Every answer that is no success: `{"fault": {code, message, hint, …}}`, with a status that fits.

What was sent is never repeated in it: it may hold a secret.
"""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent.controller.refusal import Refused
from agent.errors import AgentError, DecodeError, InputError
from agent.model.fault import Fault
from agent.model.protocol import Refusal

log = structlog.get_logger("controller")


def answer(fault: Fault, status: int) -> JSONResponse:
    """The body of every refusal."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(Refusal(fault=fault).model_dump(mode="json"), status, headers=headers)


def install(app: FastAPI) -> None:
    """Have every error answered this way."""
    app.add_exception_handler(AgentError, _agent_error)
    app.add_exception_handler(RequestValidationError, _undecodable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def _agent_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AgentError)
    status = error.http_status if isinstance(error, Refused) else 400 if isinstance(error, InputError) else 502
    fault = Fault.of(error)
    log.info("refused", method=request.method, path=_route(request), status=status, code=fault.code, why=str(error))
    return answer(fault, status)


def _undecodable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:8]]
    fault = Fault(code=DecodeError.code, message=f"reading the request: {'; '.join(problems)}", hint=DecodeError.advice)
    log.info("undecodable", method=request.method, path=_route(request), why=fault.message)
    return answer(fault, 422)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    fault = Fault(code=f"HTTP.{error.status_code}", message=f"answering {request.method}: {error.detail}")
    return answer(fault, error.status_code)


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
