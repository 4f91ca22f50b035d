# SPDX-License-Identifier: Apache-2.0
"""How much a caller may send, and how slowly. Only an image or a bundle is large, and neither is
ever held in memory."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.model.fault import Fault
from agent.model.protocol import Refusal

BODY_BYTES = 8 * 1024 * 1024
"""An inventory of three hundred disks has less than one MiB."""
UPLOAD_PATHS = ("/v1/images/upload", "/v1/images/import/upload", "/v1/agent/bundles")
"""Nothing reads these bodies as a whole, whatever type they are said to have, nor before it is known who sends them."""
BODY_S = 60.0
"""For all of a body that is read as a whole."""
PART_S = 120.0
"""For the next part of an upload."""
LENGTHS = {b"content-length", b"transfer-encoding"}
"""Who says both is understood in two ways by two who read it: what is a body to one is the next call to the other (RFC
9112, section 6.1). No client does so."""


class BodyLimit:
    """ASGI middleware: ends a request whose body grows too large, as 413, or does not come, as 408."""

    def __init__(self, app: ASGIApp, body_s: float = BODY_S, part_s: float = PART_S) -> None:
        self._app = app
        self._body_s, self._part_s = body_s, part_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if {name for name, _ in scope["headers"]} >= LENGTHS:
            await two_lengths()(scope, receive, send)
            return
        is_upload = scope["path"] in UPLOAD_PATHS
        ends_s, received, is_whole = time.monotonic() + self._body_s, 0, False

        async def limited() -> Message:
            nonlocal received, is_whole
            if is_whole:  # what comes now is the end of the connection
                return await receive()
            left_s = self._part_s if is_upload else ends_s - time.monotonic()
            try:
                async with asyncio.timeout(left_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body did not come in time") from None
            is_whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > BODY_BYTES and not is_upload:
                raise HTTPException(413, f"the body has more than {BODY_BYTES} bytes")
            return message

        await self._app(scope, limited, send)


def two_lengths() -> ASGIApp:
    """The answer, and the end of the connection."""
    message = "reading the request: it says two lengths of its body"
    fault = Fault(code="HTTP.400", message=message, hint="Say Content-Length or Transfer-Encoding, not both.")
    return JSONResponse(Refusal(fault=fault).model_dump(mode="json"), 400, {"Connection": "close"})
