# SPDX-License-Identifier: Apache-2.0
"""A page that lists the API, made from openapi.json here: the usual ones load their scripts from the internet, which a
provisioning network does not have."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()
STYLE = "body{font:15px sans-serif;margin:2em;max-width:70em}td{padding:.2em 1em .2em 0;vertical-align:top}"


@router.get("/docs", include_in_schema=False)
def get_docs(request: Request) -> HTMLResponse:
    """For people; programs read /openapi.json."""
    return HTMLResponse(page(request.app.openapi()))


def page(openapi: dict[str, Any]) -> str:
    """Every operation, a row each."""
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())}</code><td><code>{escape(path)}</code>"
        f"<td>{escape(operation.get('description', ''))}"
        for path, operations in sorted(openapi["paths"].items())
        for method, operation in operations.items()
    )
    title = escape(openapi["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title}</h1><p>Schemas: <a href=openapi.json>openapi.json</a><table>{rows}</table></html>"
    )
