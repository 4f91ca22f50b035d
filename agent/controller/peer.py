# SPDX-License-Identifier: Apache-2.0
"""Who opened a connection, told to the application: uvicorn knows the certificate that TLS was opened with, and keeps
it to itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

PEER = "bms.peer_certificate"
"""In the scope of a call: the certificate of whoever opened its connection, DER. TLS has judged who signed it."""


def naming(kind: Any) -> Any:
    """The same protocol of uvicorn's, whose calls have it in their scope."""

    class Naming(kind):  # type: ignore[misc]
        app: ASGIApp

        def connection_made(self, transport: asyncio.Transport) -> None:
            """TLS is up, if there is any."""
            super().connection_made(transport)
            app: ASGIApp = self.app
            tls = transport.get_extra_info("ssl_object")
            shown = tls.getpeercert(binary_form=True) if tls is not None else None

            async def named(scope: Scope, receive: Receive, send: Send) -> None:
                scope[PEER] = shown
                await app(scope, receive, send)

            self.app = named

    return Naming
