# SPDX-License-Identifier: Apache-2.0
"""How many calls a caller may make, and how much they may send by them: a bucket per token, and one per address for all
who show no token that is known (and one per IPv6 network, in which one machine has as many addresses as it likes).

A token is known once it was found good (a route that asks for none says nothing about it), until it is answered 401:
whoever guesses tokens, or floods us from the address of an honest caller, spends the bucket of the address alone. What
is remembered is bounded: the least recently used is forgotten first. Images and the ramdisk are not counted: one server
fetches thousands of ranges. A large body counts as many calls: it is parsed before it is known who sent it, and
meanwhile nobody else is heard.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.controller.api.auth import token_in
from agent.controller.api.buckets import MOST_CALLERS, Buckets
from agent.controller.api.errors import answer
from agent.controller.api.limits import UPLOAD_PATHS
from agent.controller.peer import AUTHENTICATED, NETWORK, network_of
from agent.controller.refusal import TooFast
from agent.model.fault import Fault

PIECE_BYTES = 64 * 1024
"""Of a body, that costs as much as a call."""
FREE = ("/images/", "/boot/ramdisk/")

Take = Callable[[float], float]
"""One call at that time; the seconds to wait."""


class Acquainted:
    """Tokens that were good at their last call, at most so many; their digests alone are held."""

    def __init__(self, most: int = MOST_CALLERS) -> None:
        self._most = most
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def judge(self, key: str, *, good: bool) -> None:
        """What came of a call with it."""
        self._keys.pop(key, None)
        if good:
            self._keys[key] = None
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)


class Pace:
    """ASGI middleware: answers 429, with the time to wait, to whoever calls too often."""

    def __init__(
        self,
        app: ASGIApp,
        calls_per_s: float,
        strangers_per_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._known = Buckets(calls_per_s)
        self._strangers = Buckets(strangers_per_s)
        self._networks = Buckets(strangers_per_s * NETWORK)
        self._acquainted = Acquainted()
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        key = token_key(scope)
        is_known = key in self._acquainted
        take = partial(self._known.take, key) if is_known else partial(self._take_of, address_of(scope))
        if wait_s := take(self._clock()):
            await refusal(wait_s)(scope, receive, send)
            return

        async def told(message: Message) -> None:
            good = scope.get(AUTHENTICATED, False)
            if key and message["type"] == "http.response.start" and (good or message["status"] == 401):
                self._acquainted.judge(key, good=good)
            await send(message)

        await self._app(scope, self._paid(scope, receive, take), told)

    def _take_of(self, address: str, now_s: float) -> float:
        network = network_of(address)
        wait_s = self._strangers.take(address, now_s)
        return wait_s if wait_s or network == address else self._networks.take(network, now_s)

    def _paid(self, scope: Scope, receive: Receive, take: Take) -> Receive:
        """The body, as far as the bucket goes. What is stored as it comes costs no more than its first byte."""
        owed = 0

        async def paid() -> Message:
            nonlocal owed
            message = await receive()
            owed += len(message.get("body", b""))
            while owed > PIECE_BYTES:
                owed -= PIECE_BYTES
                if wait_s := take(self._clock()):
                    raise HTTPException(429, "it has sent too much", headers={"Retry-After": str(math.ceil(wait_s))})
            return message

        return receive if scope["path"] in UPLOAD_PATHS else paid


def token_key(scope: Scope) -> str:
    """The digest of the token that was sent; empty if there is none."""
    value = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    token = token_in(value.decode("latin-1"))
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def address_of(scope: Scope) -> str:
    """Who calls, without the port."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def refusal(wait_s: float) -> ASGIApp:
    """The answer."""
    error = TooFast("answering a call", "there are too many from this token or this address")
    response = answer(Fault.of(error), error.http_status)
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
