# SPDX-License-Identifier: Apache-2.0
"""Where a request of Ironic's is judged, and answered: the agent's own side, whoever reads HTTP.

In: a page of the table, the token that came with it, the bytes of an order. Out: a status, and JSON. The token is
compared here and nowhere else; the command table, and what each step makes of its arguments, decide what is done.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any, Protocol, assert_never

from agent import __version__
from agent.api.ironic.commands import Commands
from agent.api.ironic.refusal import Refusal, bad_request, wrong_token
from agent.errors import AgentError
from agent.model.ironic.asked import OPEN, Asked, Page
from agent.model.ironic.wire import CommandResult
from agent.program.log import Logger

GO_ON = 100
"""The body is wanted (RFC 9110, section 15.2.1)."""
MOST_VALUES = 250_000
"""In an order: each takes up to 200 bytes of memory, however few it has in JSON. Ironic's have hundreds."""
LONGEST_WORDS = 4 << 20
"""Of an order with other characters than ASCII's: each of its text may take four bytes. What is longer is base64."""

log = Logger("ironic")


class Answers(Protocol):
    """Whoever answers a request: the desk, or a way to it."""

    def answered(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """Status, and JSON. Nothing is raised."""
        ...


class Desk:
    """`Answers` of the agent itself."""

    def __init__(self, commands: Commands, token: str, uptime_s: Callable[[], float]) -> None:
        self._commands = commands
        self._token = token.encode()
        self._uptime_s = uptime_s

    def answered(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """Status, and JSON."""
        told: object
        try:
            status, told = (GO_ON, {}) if self._is_to_come(asked) else (200, self._told(asked, body))
        except Refusal as refusal:
            status, told = refusal.status, refusal.body
        except AgentError as error:
            status, told = 500, Refusal(500, str(error)).body
        except Exception:
            log.exception("a fault of ours", page=asked.page.value)
            status, told = 500, Refusal(500, "500 Internal Server Error: the agent's log says more").body
        return status, json.dumps(told).encode()

    def _is_to_come(self, asked: Asked) -> bool:
        """Whether all is well so far. Raises `Refusal`."""
        if asked.page not in OPEN and not hmac.compare_digest(asked.token.get_secret_value().encode(), self._token):
            raise wrong_token()
        return asked.page is Page.ORDER and asked.is_announced

    def _told(self, asked: Asked, body: bytes) -> object:
        match asked.page:
            case Page.ROOT:
                return root()
            case Page.VERSION:
                return version()
            case Page.STATUS:
                return {"started_at": self._uptime_s(), "version": __version__}
            case Page.COMMANDS:
                return {"commands": [shown(one) for one in self._commands.listed()]}
            case Page.COMMAND:
                return shown(self._commands.found(asked.command_id, wait=asked.waits))
            case Page.ORDER:
                order = read(body)
                return shown(
                    self._commands.order(order.get("name"), order.get("params"), wait=asked.waits, request_id=asked.id)
                )
        assert_never(asked.page)


def read(body: bytes) -> dict[str, Any]:
    """An order. Raises `Refusal`, and does so before it takes much more memory than it has bytes."""
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise Refusal(413, f"413 Content Too Large: an order of more than {MOST_VALUES} values")
    if len(body) > LONGEST_WORDS and (not body.isascii() or b"\\u" in body or b"\0" in body):
        raise Refusal(413, f"413 Content Too Large: an order of {len(body)} bytes that is no plain ASCII")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("400 Bad Request: the body is not JSON") from None
    if not isinstance(found, dict):
        raise bad_request("400 Bad Request: Missing or invalid name or params")
    return found


def shown(result: CommandResult) -> dict[str, Any]:
    """Five keys, in this order."""
    return result.model_dump(mode="json")


def root() -> dict[str, Any]:
    """`GET /`."""
    v1 = {"id": "v1", "links": [{"href": "/v1/", "rel": "self"}]}
    return {
        "name": "OpenStack Ironic Python Agent API",
        "description": "bms-agent in its place: commands of a bare metal provisioning service to the node's ramdisk",
        "versions": [v1],
        "default_version": v1,
    }


def version() -> dict[str, Any]:
    """`GET /v1/`."""
    return {
        "commands": [{"href": "/v1/commands/", "rel": "self"}],
        "status": [{"href": "/v1/status", "rel": "self"}],
        "media_types": [{"base": "application/json", "type": "application/vnd.openstack.ironic-python-agent.v1+json"}],
        "id": "v1",
        "links": [{"href": "/v1/", "rel": "self"}],
    }
