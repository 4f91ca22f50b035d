# SPDX-License-Identifier: Apache-2.0
"""How much a caller may send. Only an image or a bundle is large, and neither is ever held in memory."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 8 * 1024 * 1024
"""An inventory of three hundred disks has less than one MiB."""
UPLOAD_PATHS = ("/v1/images/upload", "/v1/images/import/upload", "/v1/agent/bundles")
"""Nothing reads these bodies as a whole, whatever type they are said to have, nor before it is known who sends them."""


class BodyLimit:
    """ASGI middleware: ends a request whose body grows too large, as 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http" or scope["path"] in UPLOAD_PATHS:
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_BYTES:
                raise HTTPException(413, f"the body has more than {BODY_BYTES} bytes")
            return message

        await self._app(scope, limited, send)
