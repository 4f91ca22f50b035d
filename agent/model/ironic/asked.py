# SPDX-License-Identifier: Apache-2.0
"""A request of Ironic's, between the two processes that serve it: `agent.api.ironic.server` reads it, in a process that
may do nothing else, and `agent.api.ironic.desk` judges and answers it.

The table of pages is closed: what is not a row of it never comes to the desk.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, SecretStr

from agent.model.frozen import Frozen, Secret

LARGEST_BODY_BYTES = 128 << 20
"""A config drive comes three times in one request, 64 MiB at most, and compressed."""
ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
"""A random one (RFC 9562, section 5.4)."""
LONGEST_TOKEN = 1024


class Page(StrEnum):
    """Of the API: all that there is."""

    ROOT = "GET /"
    VERSION = "GET /v1/"
    STATUS = "GET /v1/status"
    COMMANDS = "GET /v1/commands/"
    COMMAND = "GET /v1/commands/…"
    ORDER = "POST /v1/commands/"


OPEN = frozenset({Page.ROOT, Page.VERSION, Page.STATUS})
"""To anybody: what Ironic's tools look at first."""


class Asked(Frozen):
    """One request. The body goes beside it, and nobody has looked into it."""

    id: str = Field(pattern=ID, description="of the command, if this is an order; asked again, it is the same one")
    page: Page
    token: Secret = Field(default=SecretStr(""), max_length=LONGEST_TOKEN)
    command_id: str = Field(default="", max_length=64, description="of the command that is looked at")
    waits: bool = Field(default=False, description="for the command's end")
    is_announced: bool = Field(default=False, description="the body is still to come: is its sender to be heard?")
    ended: int = Field(
        default=0, ge=0, le=1_000_000, description="processes in a row that served and ended before this one"
    )


class Answered(Frozen):
    """What it came to. The body goes beside it: JSON."""

    status: int = Field(ge=100, le=599)


class Serving(Frozen):
    """How Ironic is spoken to; where, an open file that comes along says. The key is for that alone."""

    pem: Secret = Field(description="certificate and key")
    tls_min_version: Literal["1.2", "1.3"] | None = None
    tls_ciphers: str | None = Field(default=None, max_length=4096)


class Opening(Frozen):
    """First on each line. The others are there so that several requests can be asked about at a time."""

    serving: Serving | None = None
