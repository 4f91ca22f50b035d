# SPDX-License-Identifier: Apache-2.0
"""What every answer says to browsers and caches: it is what its type says, nobody frames it, it loads nothing; and an
answer that may hold a secret is kept nowhere. Images, which any cache may keep, say so themselves.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
KEPT = ("/images/", "/boot/ramdisk/")


class Headers:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith(KEPT):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, told if scope["type"] == "http" else send)
